"""Applying rules to models, as `nmtool check` does."""

import nmtool


def findings(model, code, **options):
    """(severity, message) of one rule's findings, notes left out."""
    (outcome,) = nmtool.check(model, select=[code], **options).outcomes
    return [(str(each.severity), each.message) for each in outcome.findings if each.severity != "note"]


def status(model, code, **options):
    """Status of one rule."""
    (outcome,) = nmtool.check(model, select=[code], **options).outcomes
    return str(outcome.status)
