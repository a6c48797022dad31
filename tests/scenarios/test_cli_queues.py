"""`farebox queues`: the topics and queues on AWS, from settings alone."""

import pytest

from farebox.events.transports.sns_sqs import Aws
from tests.support.aws import AwsServer


@pytest.fixture
def account():
    made = AwsServer()
    yield made
    made.close()


def test_topics_and_queues_are_made_once_and_named(farebox, account):
    settings = {
        "FAREBOX_AWS_PROJECT": "school",
        "FAREBOX_AWS_ENVIRONMENT": "dev",
        "FAREBOX_AWS_REGION": "eu-central-1",
        "FAREBOX_AWS_ENDPOINT_URL": account.url,
        "FAREBOX_AWS_ACCESS_KEY_ID": "x",
        "FAREBOX_AWS_SECRET_ACCESS_KEY": "y",
    }
    first = farebox.done("queues", **settings)
    assert first.splitlines() == [
        "school-dev-billing-events",
        "school-dev-entitlement-queue",
        "school-dev-events",
        "school-dev-access-events",
        "school-dev-SendNotify",
        "school-dev-entitlement-updates",
    ]
    assert farebox.done("queues", **settings) == first
    aws = Aws(account.terms("school"))
    queues = {url.rpartition("/")[2] for url in aws.sqs.list_queues()["QueueUrls"]}
    aws.close()
    assert queues == {
        "school-dev-entitlement-queue",
        "school-dev-entitlement-queue-dlq",
        "school-dev-access-events",
        "school-dev-access-events-dlq",
        "school-dev-SendNotify",
        "school-dev-SendNotify-dlq",
    }


def test_without_the_settings_it_says_which_is_missing(farebox):
    assert "FAREBOX_AWS_PROJECT" in farebox.refused("queues")
