"""What is wrong with a folder that is to be published, a sentence each."""

from __future__ import annotations

from pathlib import Path

from minireason.publish.card import check_card
from minireason.publish.chat import check_chat
from minireason.publish.exports import check_exports
from minireason.publish.files import check_files
from minireason.publish.leaks import check_leaks
from minireason.publish.weights import check_weights


def check_folder(folder: Path, license: str = "") -> list[str]:
    """All failures, none where the folder can go to the hub.

    `license` is the one that was asked for, if any.
    """
    return [
        *check_files(folder),
        *check_weights(folder),
        *check_chat(folder),
        *check_leaks(folder),
        *check_card(folder, license),
        *check_exports(folder),
    ]
