"""SNS and SQS as moto's server plays them, over real HTTP."""

import json
import logging
from typing import Any

from moto.server import ThreadedMotoServer

from farebox.events.transports.sns_sqs import Aws, AwsTerms


class AwsServer:
    """A server on a free port of this machine until closed."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def terms(self, project: str) -> AwsTerms:
        """Return the terms of a project: each has topics and queues of its own."""
        return AwsTerms(
            project=project,
            environment="test",
            region="eu-central-1",
            endpoint_url=self.url,
            access_key_id="x",
            secret_access_key="y",
        )

    def close(self) -> None:
        self._server.stop()


def attributes(aws: Aws, queue: str) -> dict[str, Any]:
    """Return what a queue says of itself, JSON read."""
    found = aws.sqs.get_queue_attributes(QueueUrl=aws.queue(queue), AttributeNames=["All"])
    return {
        name: json.loads(value) if value.startswith("{") else value
        for name, value in found["Attributes"].items()
    }


def bodies(aws: Aws, queue: str) -> list[str]:
    """Take what a queue holds now, without deleting it."""
    got: list[str] = []
    while True:
        answer = aws.sqs.receive_message(
            QueueUrl=aws.queue(queue), MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        if not answer.get("Messages"):
            return got
        got += [message["Body"] for message in answer["Messages"]]


def show_again(aws: Aws, queue: str) -> None:
    """Let what was received be received again at once, as its time out of sight does."""
    aws.sqs.set_queue_attributes(QueueUrl=aws.queue(queue), Attributes={"VisibilityTimeout": "0"})
