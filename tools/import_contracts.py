"""The contract about files of a context, which import-linter's own kinds cannot say.

A context is a folder under a service: `farebox.access.consumers`. Its files are of four kinds,
and an import between them goes down, never up:

    service, service_consume, ... > store > rules, rules_tax, ... > model, model_tax, ...

From another context, service files take `service*` and `model`; the other kinds take `model`
only. A store, in a context or elsewhere (`farebox.platform.store`), belongs to its own package:
in a context to its service files alone. The folder `flows` is above the contexts and has files of
any name, so only the rule about stores applies to it.

import-linter's layers could say the order for four fixed names, but not for `service_*`, and no
wildcard of it ties a store to the service of the same folder. Nor does one name `rules_*`: so the
contracts about rules and models are a kind of their own too, which finds these files itself.
"""

from dataclasses import dataclass
from itertools import product

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.imports import ModuleExpression

ORDER = ("model", "rules", "store", "service")
SPLIT = {"model", "rules", "service", "store"}
TAKEN_FROM_OTHERS = {"service": {"service", "model"}}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a module stands: the package it is in, and the kind of file it is."""

    package: str
    kind: str
    in_context: bool


def kind_of(module: str) -> str:
    """Return the kind of file: `service` for `farebox.access.usage.service_report`."""
    stem = module.rpartition(".")[2]
    head = stem.partition("_")[0]
    return head if head in SPLIT else stem


def place_of(module: str, services: frozenset[str]) -> Place:
    """Return the place of a module; `services` are packages like `farebox.access`."""
    package = module.rpartition(".")[0]
    service, _, context = package.rpartition(".")
    return Place(
        package=package,
        kind=kind_of(module),
        in_context=service in services and context != "flows",
    )


def objection(importer: Place, imported: Place) -> str | None:
    """Return why one module may not import the other, or None where it may."""
    own = importer.package == imported.package
    if imported.kind == "store" and not own:
        return "a store is imported by its own service only"
    if not (importer.in_context and imported.in_context):
        return None
    if importer.kind not in ORDER or imported.kind not in ORDER:
        return None  # tools.sizes refuses files of other kinds
    if own:
        return own_objection(importer.kind, imported.kind)
    if imported.kind in TAKEN_FROM_OTHERS.get(importer.kind, {"model"}):
        return None
    return f"a {importer.kind} does not import another context's {imported.kind}"


def own_objection(importer: str, imported: str) -> str | None:
    """Return why a file may not import another kind of file of its own context."""
    if ORDER.index(imported) > ORDER.index(importer):
        return f"inside a context, {importer} is below {imported}"
    if imported == "store" and importer not in {"service", "store"}:
        return "a store is imported by its own service only"
    return None


class ContextFilesContract(Contract):
    """Hold the order of files inside contexts, and keep stores to their own services."""

    type_name = "context_files"

    services = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001 (import-linter's signature)
        """Return every import that this contract objects to, each with the reason."""
        roots: list[str] = self.session_options["root_packages"]
        # A field is replaced by its value when the contract is made, which its type cannot tell.
        names: list[str] = self.services  # type: ignore[assignment]
        services = frozenset(f"{root}.{name}" for root, name in product(roots, names))
        objections = [
            f"{importer} -> {imported}: {reason}"
            for importer in sorted(graph.modules)
            if not graph.is_module_squashed(importer)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not graph.is_module_squashed(imported)
            if (reason := objection(place_of(importer, services), place_of(imported, services)))
        ]
        return ContractCheck(kept=not objections, metadata={"objections": objections})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that break the contract."""
        for line in check.metadata["objections"]:
            output.print_error(f"-   {line}", bold=False)
        output.new_line()


class GivenToRulesContract(ForbiddenContract):
    """Forbid modules to the named sources and to every file of rules or of a model.

    In a folder of its own kind of files (`farebox.ledger`, `farebox.storage`) a name that begins
    so is bound as well: what is called rules is pure wherever it stands.
    """

    type_name = "given_to_rules"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 (import-linter's signature)
        """Return every chain of imports that leads from a rule to what it may not know."""
        roots: tuple[str, ...] = tuple(self.session_options["root_packages"])
        found = {
            ModuleExpression(module)
            for module in graph.modules
            if module.partition(".")[0] in roots and kind_of(module) in {"model", "rules"}
        }
        self.source_modules = found | set(self.source_modules)  # type: ignore[call-overload]
        return super().check(graph, verbose)
