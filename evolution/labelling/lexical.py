"""The model-free provider: deterministic, free, and named `lexical` wherever its work shows.

It reads a request's material instead of its prose, so the product runs with no key and no GPU, and gives every paid
model a floor to beat.
"""

from __future__ import annotations

from evolution.calls.llm import Reply, Request, Usage
from evolution.labelling.rationale import cited_rules, write_rationale
from evolution.labelling.request import MAX_LISTED_RULES, LabelMaterial, reply_json

PROVIDER = "lexical"


class LexicalLLM:
    """Grades by rule votes and lexical evidence, and writes the reasons from features."""

    provider = PROVIDER

    def complete(self, request: Request) -> Reply:
        """Answer a labelling request; ValueError for material it cannot read."""
        material = request.material
        if not isinstance(material, LabelMaterial) or material.proposal is None:
            raise ValueError(f"the lexical provider has no answer to {request.role} without graded material")
        listed = material.rules[:MAX_LISTED_RULES]
        steps = write_rationale(
            material.features,
            title=material.title,
            grade=material.proposal.grade,
            rules=listed,
            scale=material.scale,
        )
        numbers = {rule.rule_id: number for number, rule in enumerate(listed, 1)}
        cited = [numbers[rule.rule_id] for rule in cited_rules(listed, material.proposal.grade)]
        return Reply(reply_json(material.proposal, steps, cited), Usage(), 0.0)
