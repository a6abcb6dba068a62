"""What the options of an id, the text after its colon, make of a registered thing."""

from __future__ import annotations

from typing import Any

from .read import nearest, parse, parse_options
from .spec import Architecture, Card, Dataset, InputError


def subset(dataset: Dataset, options: str) -> Dataset:
    """`1,7`: those of the dataset's classes, by label. Raises InputError where the labels do not
    fit.
    """
    if not options:
        return dataset
    id = f"{dataset.name}:{options}"
    labels = options.split(",")
    last = len(dataset.classes) - 1
    if not all(label.isdecimal() and len(label) < 10 and int(label) <= last for label in labels):
        raise InputError(
            f"dataset {id!r}: classes after the colon are labels from 0 to {last}, "
            f"as in '{dataset.name}:0,{last}'"
        )
    chosen = tuple(map(int, labels))
    if len(chosen) < 2 or list(chosen) != sorted(set(chosen)):
        raise InputError(f"dataset {id!r}: give two or more classes, each once, in rising order")
    return dataset.model_copy(update={"subset": chosen})


def activated(architecture: Architecture, options: str) -> Architecture:
    """`activation=swish`: the network with another activation. Raises InputError where it has no
    such choice.
    """
    source = f"architecture {':'.join(filter(None, (architecture.name, options)))!r}"
    given = _parsed(options, source)
    if not given:
        return architecture
    if set(given) != {"activation"} or architecture.activation is None:
        allowed = "activation=…" if architecture.activation is not None else "no options"
        raise InputError(f"{source}: {architecture.name} takes {allowed}")
    told = {"title": f"{architecture.title} ({options})"}
    return parse(Architecture, architecture.model_dump() | told | given, source)


def params(card: Card, options: str) -> dict[str, Any]:
    """`projections=1`: the parameters that differ from the card's defaults. Raises InputError for
    one that the card has not or a value that it does not allow.
    """
    source = f"regularizer {':'.join(filter(None, (card.name, options)))!r}"
    found = {}
    for field, text in _parsed(options, source).items():
        if field not in card.params:
            raise InputError(f"{source}: option {nearest(field, card.params, 'a parameter')}")
        try:
            value = card.params[field].parse(text)
        except ValueError as error:
            raise InputError(f"{source}: {field} {error}") from None
        if value != card.params[field].default:
            found[field] = value
    return found


def _parsed(options: str, source: str) -> dict[str, str]:
    try:
        return parse_options(options)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None
