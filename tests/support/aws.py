"""SNS and SQS as moto's server plays them, over real HTTP."""

import json
import logging
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer
from moto.sqs.models import Message, Queue, SQSBackend

from farebox.events.transports.sns_sqs import Aws, AwsTerms

P = ParamSpec("P")
R = TypeVar("R")
_QUEUES: Final = threading.RLock()


def _alone(work: Callable[P, R]) -> Callable[P, R]:
    @wraps(work)
    def alone(*arguments: P.args, **named: P.kwargs) -> R:
        with _QUEUES:
            return work(*arguments, **named)

    return alone


def _receiving_alone(receive: Callable[..., list[Message]]) -> Callable[..., list[Message]]:
    def alone(
        backend: SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        *rest: Any,
        **named: Any,
    ) -> list[Message]:
        end = time.monotonic() + wait_seconds_timeout
        while True:
            with _QUEUES:
                found = receive(backend, queue_name, count, 0, *rest, **named)
            if found or time.monotonic() >= end:
                return found
            # Whoever waits lets the others in.
            backend.get_queue(queue_name).wait_for_messages(1)

    return alone


# AWS hides a message in the same step that gives it. moto does it in two, and puts in and deletes
# in two as well, while its server has a thread for each call: one message would go to two
# receivers, or a new one would be lost to a delete.
SQSBackend.receive_message = _receiving_alone(  # type: ignore[method-assign]
    SQSBackend.receive_message
)
Queue.add_message = _alone(Queue.add_message)  # type: ignore[method-assign]
Queue.delete_message = _alone(Queue.delete_message)  # type: ignore[method-assign]


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
        # What moto's server holds belongs to the process: the next one would have it too.
        BackendDict.reset()


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
