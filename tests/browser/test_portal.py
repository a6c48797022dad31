"""The portal in a real browser: what subscribers see, choose and change."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from farebox.demo.subscribers import furnish
from tests.browser.portal_stage import NARROW, Stage, Visit, visiting

PAGES = ("/portal/", "/portal/plans", "/portal/group", "/portal/invoices", "/portal/payments",
         "/portal/keys")  # fmt: skip
PRO = "/portal/subscribe?plan=atlas-pro&period=month-1"


@pytest.fixture
def kira(stage: Stage, chromium: Browser) -> Iterator[Visit]:
    """Return the visit of somebody who has everything; nothing of it is changed."""
    with visiting(stage, chromium, "kira@example.org") as visit:
        yield visit


@pytest.fixture
def ada(stage: Stage, chromium: Browser) -> Iterator[Visit]:
    """Return the visit of somebody new who has a card."""
    with visiting(stage, chromium, stage.newcomer().email) as visit:
        yield visit


def subscribed(visit: Visit) -> str:
    """Subscribe to Pro; return the address of the subscription when it is active."""
    visit.open(PRO)
    visit.press("Subscribe and pay")
    visit.sees("Atlas Pro.*Active")
    return re.sub(r"\?.*", "", visit.page.url).removeprefix(visit.stage.url)


def subscription_of(visit: Visit, address: str):
    return visit.stage.ask(f"/v1/subscriptions/{address.rsplit('/', 1)[1]}")


def test_furnishing_again_changes_nothing(stage):
    def counted():
        kira = stage.of("Kira")
        paths = (f"/v1/consumers/{kira}/keys", f"/v1/invoices?customer={kira}", "/v1/groups",
                 f"/v1/subscriptions?consumer={kira}", f"/v1/buckets?holder={kira}",
                 f"/v1/customers/{kira}/wallets/RUB/statement", "/v1/prices?of=plan")  # fmt: skip
        return [len(stage.ask(path)["items"]) for path in paths]

    before = counted()
    assert furnish(stage.admin) == stage.furnished
    # The pages were signed in at meanwhile, which made keys; nothing else is there besides.
    assert counted()[1:] == before[1:]


def test_the_overview_says_what_is_used_and_what_is_left(kira):
    kira.speak("English")
    quota = kira.stage.ask(f"/v1/subscriptions/{kira.stage.furnished.subscription}/quotas")
    used = f"{quota['items'][0]['used']:,}"
    page = kira.open("/portal/")
    kira.sees("Atlas Pro.*Active")
    kira.sees(f"{used} of 50,000 used")
    kira.sees("1,490.00 a month")
    kira.sees(r"11,130\s+left of 20,000")
    assert page.locator(".plot svg:visible polyline").count() == 1
    page.get_by_text("The same in figures").click()
    newest = page.locator(".figures tbody tr").first
    expect(newest.locator("td").nth(1)).to_have_text(used)
    days = page.locator(".figures tbody td:nth-child(2)").all_inner_texts()
    total = sum(int(text.replace(",", "")) for text in days)
    assert f"{total:,}" == used


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(stage, chromium, scheme):
    with visiting(stage, chromium, "kira@example.org", color_scheme=scheme) as visit:
        for address in PAGES:
            page = visit.open(address)
            for folded in page.locator("main details").all():
                folded.evaluate("one => { one.open = true }")
            assert visit.violations() == [], address


@pytest.mark.parametrize("email", ["kira@example.org", "leo@example.org"])
def test_no_page_is_wider_than_a_telephone(stage, chromium, email):
    with visiting(stage, chromium, email, width=NARROW) as visit:
        for address in PAGES:
            visit.open(address)
            assert visit.too_wide() == 0, address


def test_the_steps_before_a_change_keep_nobody_out_either(ada, stage, chromium):
    address = subscribed(ada)
    for step in ("", "/change-plan", "/change-plan?plan=atlas-business", "/cancel", "/pause"):
        ada.open(address + step)
        assert ada.violations() == [], step
    ada.open(PRO.replace("pro", "business"))
    assert ada.violations() == []
    ada.page.set_viewport_size({"width": NARROW, "height": 800})
    for step in ("", "/change-plan", "/change-plan?plan=atlas-business", "/cancel", "/pause"):
        ada.open(address + step)
        assert ada.too_wide() == 0, step


def test_a_plan_is_chosen_with_the_keyboard_paid_and_active(ada):
    page = ada.open("/portal/plans")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if "Atlas Pro" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/portal/subscribe**")
    page.get_by_role("button", name="Subscribe and pay").focus()
    page.keyboard.press("Enter")
    ada.sees("Atlas Pro.*Active")
    ada.sees("Paid by.*My card")


def test_a_subscription_is_made_once_however_often_the_form_is_sent(ada):
    ada.open(PRO)
    said = ada.send("/portal/subscribe", times=3, plan="atlas-pro", period="month-1")
    assert said == [303, 303, 303]
    mine = ada.stage.ask("/v1/subscriptions", consumer=_id_of(ada))["items"]
    assert len(mine) == 1


def _id_of(visit: Visit) -> str:
    email = visit.page.locator("header summary").inner_text()
    found = [one["id"] for one in visit.stage.ask("/v1/consumers", limit="1000")["items"]
             if one["name"] == email]  # fmt: skip
    return str(found[0])


def test_without_a_card_the_plan_waits_until_its_invoice_is_paid(stage, chromium):
    with visiting(stage, chromium, stage.newcomer(card=None, balance=2_000_00).email) as visit:
        visit.open(PRO)
        visit.sees("An invoice will wait for you")
        visit.press("Subscribe and pay")
        visit.sees("is being set up: the first invoice")
        visit.press("Pay the invoice")
        visit.press("Pay RUB")
        visit.sees("Thank you: it is paid")
        visit.open("/portal/")
        visit.sees("Atlas Pro.*Active")


def test_a_page_that_waits_does_not_take_back_a_click_whose_answer_is_slow(stage, chromium):
    with visiting(stage, chromium, stage.newcomer(card=None, balance=2_000_00).email) as visit:
        visit.open(PRO)
        visit.press("Subscribe and pay")
        visit.sees("is being set up: the first invoice")
        under_way: list[Route] = []

        def hold(route: Route) -> None:
            under_way.append(route)

        visit.page.route("**/portal/invoices/*", hold)
        visit.page.get_by_role("link", name="Pay the invoice").evaluate("link => link.click()")
        while not under_way:
            visit.page.wait_for_timeout(10)
        # Longer than the page waits before it asks again.
        visit.page.wait_for_timeout(4_000)
        under_way[0].continue_()
        expect(visit.page.get_by_role("button", name=re.compile("Pay RUB"))).to_be_visible()


def test_what_a_change_now_is_said_to_cost_is_what_it_costs(ada):
    address = subscribed(ada)
    ada.open(f"{address}/change-plan?plan=atlas-business")
    ada.sees("Not used of what you paid")
    button = ada.page.get_by_role("button", name=re.compile("Change now and pay"))
    shown = re.sub(r"\D", "", button.inner_text())
    button.click()
    ada.sees("Atlas Business.*Active")
    newest = ada.stage.ask("/v1/invoices", subscription=address.rsplit("/", 1)[1])["items"][0]
    # Between the preview and the change a few seconds of the period have gone by.
    assert abs(newest["total"] - newest["paid"]) in {0, newest["total"]}
    assert newest["state"] == "paid"
    paid = ada.stage.ask(f"/v1/invoices/{newest['id']}/payments")["items"]
    assert abs(sum(one["amount"] for one in paid) - int(shown)) < 100


def test_a_change_with_the_next_period_costs_nothing_now(ada):
    address = subscribed(ada)
    ada.open(f"{address}/change-plan?plan=atlas-business")
    ada.page.get_by_role("button", name="Change with the next period").click()
    ada.sees("it is another plan: atlas-business")
    assert subscription_of(ada, address)["plan"] == "atlas-pro"
    invoices = ada.stage.ask("/v1/invoices", subscription=address.rsplit("/", 1)[1])["items"]
    assert len(invoices) == 1


def test_canceled_with_the_period_it_goes_on_and_may_be_kept_after_all(ada):
    address = subscribed(ada)
    ada.open(f"{address}/cancel")
    ada.page.get_by_role("button", name="End it with the period").click()
    ada.sees("This plan ends on")
    assert subscription_of(ada, address)["cancel_at"] is not None
    ada.press("Keep the plan after all")
    ada.sees("The end that was planned is taken back")
    ada.press("Go on")
    expect(ada.page.get_by_text("This plan ends on")).to_have_count(0)
    ada.sees("Renews")
    assert subscription_of(ada, address)["cancel_at"] is None


def test_canceled_now_it_ends_and_what_is_not_used_is_credit(ada):
    address = subscribed(ada)
    ada.open(f"{address}/cancel")
    ada.sees("Credit for your next invoices")
    ada.page.get_by_role("button", name="End it now").click()
    ada.sees("Ended")
    ada.open("/portal/invoices")
    ada.sees("You have a credit of RUB.*1,4(89|90)")
    ada.sees("Credit notes")


def test_a_pause_is_begun_and_left(ada):
    address = subscribed(ada)
    ada.open(f"{address}/pause")
    ada.sees("What you have paid for may be used up")
    ada.press("^Pause$")
    ada.sees("Paused")
    ada.press("Go on with the plan")
    ada.press("^Go on$")
    ada.sees("Atlas Pro.*Active")
    assert subscription_of(ada, address)["state"] == "active"


def test_members_see_who_used_what_and_the_caps(kira, stage, chromium):
    with visiting(stage, chromium, "leo@example.org") as leo:
        leo.open("/portal/group")
        for words in ("Field team", r"3 members: Kira, Leo, Mila", r"11,130.*left of 20,000",
                      r"Kira.*5,400", r"Leo \(you\).*cap: 650 left of 3,000.*2,350"):  # fmt: skip
            leo.sees(words)


def test_who_has_nothing_is_told_what_to_do(ada):
    ada.open("/portal/")
    ada.sees("You have no plan yet")
    assert ada.violations() == []
    ada.open("/portal/group")
    ada.sees("You share nothing")
    ada.open("/portal/invoices")
    ada.sees("There are no invoices yet")


def test_a_strangers_subscription_is_not_there(ada, stage):
    path = f"/portal/subscriptions/{stage.furnished.subscription}"
    for step in ("", "/change-plan", "/cancel", "/pause", "/resume"):
        assert ada.status(path + step) == 404, step
    assert ada.status("/portal/subscriptions/sub_nobody") == 404
    ada.open(PRO)
    assert ada.send("/portal/subscribe", plan="atlas-nothing", period="month-1") == [404]
    token = ada.page.locator("[name=_csrf_token]").first.get_attribute("value")
    for change in ("cancel", "pause", "resume", "change-plan"):
        form = {"_csrf_token": token or "", "at": "now", "plan": "atlas-free"}
        said = ada.context.request.post(stage.url + f"{path}/{change}", form=form, max_redirects=0)
        assert said.status == 404, change
    assert stage.ask(f"/v1/subscriptions/{stage.furnished.subscription}")["requested"] is None


def test_a_member_may_look_at_the_groups_plan_and_not_change_it(stage, chromium):
    group = stage.post("/v1/groups", {"name": "Choir"})["id"]
    member = stage.newcomer()
    stage.post(f"/v1/groups/{group}/members/{member.id}", {}, "PUT")
    made = stage.post("/v1/subscriptions", {"plan": "atlas-free", "group": group})["id"]
    with visiting(stage, chromium, member.email) as visit:
        visit.open(f"/portal/subscriptions/{made}")
        visit.sees("This plan is your group's")
        assert visit.status(f"/portal/subscriptions/{made}/cancel") == 404


def test_a_wish_without_our_form_is_refused(ada, stage):
    said = ada.context.request.post(f"{stage.url}/portal/subscribe", form={"plan": "atlas-pro"})
    assert said.status == 403
