"""`dpk completion`: the script by which bash, zsh and fish complete the command."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import Shells, get_completion_script

from client.options import write

VARIABLE = "_DPK_COMPLETE"
"""Set by the shell's script when it asks for what may come next."""

if VARIABLE in os.environ:
    completion_init()


def completion(shell: Annotated[Shells, typer.Argument(help="Your shell.")]) -> None:
    """Print the script that completes `dpk` in a shell.

    Add it to the shell's start-up file.

    For example: dpk completion bash >> ~/.bashrc
    """
    write(get_completion_script(prog_name="dpk", complete_var=VARIABLE, shell=shell.value) + "\n")
