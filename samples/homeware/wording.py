"""How a doc reads: shop titles, and bodies of one to three sentences that mention some of its fields."""

from __future__ import annotations

from random import Random

from samples.homeware import chinese
from samples.homeware.kinds import FIELDS, Kind

RANGES = (
    "Ember|Saltmarsh|Juniper|Harbour|Alder|Winter Field|Tarn|Pebble|Orchard|Lowtide|Sorrel|Moor|Ash Lane|Little Owl|"
    "Granary|Fold|Quay|Bramble|Hearth|Cove"
)
MATERIAL_LINES: dict[str, str] = {
    "cast iron": "Cast iron holds its heat and gets better with use.",
    "stainless steel": "The stainless steel will not rust or stain.",
    "aluminium": "Light aluminium warms through in no time.",
    "carbon steel": "Season the carbon steel once and it looks after itself.",
    "copper": "Copper answers the flame at once.",
    "stoneware": "Stoneware with a reactive glaze.",
    "porcelain": "Fine porcelain, stronger than it looks.",
    "bone china": "Thin, bright bone china.",
    "enamel": "Chip-resistant enamel on steel.",
    "glass": "Made of thick, clear-ringing glass.",
    "crystal": "Lead-free crystal.",
    "plastic": "Tough plastic that survives a fall.",
    "acrylic": "Shatterproof acrylic.",
    "melamine": "Melamine that bounces when dropped.",
    "oak": "Solid oak, oiled by hand.",
    "walnut": "Dark walnut with a lively grain.",
    "acacia": "End-grain acacia.",
    "bamboo": "Fast-growing bamboo.",
    "beech": "Pale European beech.",
    "marble": "Veined marble, no two alike.",
    "cotton": "100% cotton.",
    "egyptian cotton": "Long-staple Egyptian cotton.",
    "linen": "Stonewashed pure linen.",
    "linen blend": "A linen and cotton blend.",
    "polyester": "Hard-wearing polyester.",
    "microfibre": "Brushed microfibre.",
    "wool": "Pure new wool.",
    "cashmere": "A soft cashmere mix.",
    "feather": "Filled with feather.",
    "duck down": "Filled with duck down.",
    "memory foam": "A core of slow memory foam.",
    "hollowfibre": "A bouncy hollowfibre filling.",
    "velvet": "Deep-pile velvet.",
    "rattan": "Woven from natural rattan.",
    "jute": "Chunky braided jute.",
    "seagrass": "Hand-plaited seagrass.",
    "soy wax": "Poured with soy wax.",
    "beeswax": "Pure beeswax.",
}
FEATURE_LINES: dict[str, str] = {
    "induction safe": "Works on every hob, induction included.",
    "non-stick": "The non-stick coating needs hardly any oil.",
    "oven safe": "Safe in the oven up to 230 °C.",
    "dishwasher safe": "Dishwasher safe.",
    "microwave safe": "Microwave safe.",
    "insulated": "Double-walled and insulated.",
    "leakproof": "Leakproof, even upside down.",
    "airtight": "Airtight seal.",
    "blackout": "Blackout lining for a properly dark room.",
    "thermal lined": "Thermal lined to save on heating.",
    "dimmable": "Dimmable.",
    "bean to cup": "Bean to cup, with a built-in grinder.",
    "pod machine": "Takes standard pods.",
    "milk frother": "With a milk frother for cappuccino.",
    "variable temperature": "Variable temperature for green tea and filter coffee.",
    "machine washable": "Machine washable at 40.",
    "non-slip": "Non-slip underneath.",
    "quick dry": "Quick dry weave.",
    "hypoallergenic": "Hypoallergenic and dust-mite proof.",
    "with lid": "Comes with a lid.",
    "with handles": "With two stitched handles.",
    "rechargeable": "Rechargeable: eight hours without a cable.",
    "loose leaf": "Loose leaf.",
    "tea bags": "In plastic-free tea bags.",
    "compostable": "Compostable capsules.",
}
DIETARY_LINES: dict[str, str] = {
    "vegan": "Suitable for vegans.",
    "dairy free": "Dairy free.",
    "gluten free": "Certified gluten free.",
    "organic": "Organic.",
    "sugar free": "Sugar free.",
    "no added sugar": "No added sugar.",
    "lactose free": "Lactose free, same taste.",
    "decaf": "Decaf by the water process.",
    "fairtrade": "Fairtrade certified.",
}
CLOSING_LINES = (
    "Sent in recycled card.",
    "A good present for a first flat.",
    "Wipe clean with a damp cloth.",
    "Part of our everyday range.",
    "Designed by a small studio.",
    "Back in stock.",
)


def display(value: str) -> str:
    """Return a value as a title prints it: words capitalised, measures as they are."""
    if value[:1].isdigit():
        return value
    return " ".join(word if word in ("of", "and") else word[:1].upper() + word[1:] for word in value.split())


def write_english(kind: Kind, fields: dict[str, str], random: Random) -> tuple[str, str]:
    """Return the title and body of an English doc."""
    return _english_title(kind, fields, random), _english_body(kind, fields, random)


def _english_title(kind: Kind, fields: dict[str, str], random: Random) -> str:
    noun = random.choice(kind.nouns.split("|"))
    if "flavour" in fields and "colour" not in fields:
        lead = [fields.get("dietary", ""), fields["flavour"]] if random.random() < 0.8 else [fields["flavour"]]
    else:
        colour, material = fields.get("colour", ""), fields.get("material", "") if random.random() < 0.85 else ""
        style = fields.get("style", "") if random.random() < 0.5 else ""
        lead = [style, colour, material] if random.random() < 0.6 else [colour, style, material]
        lead.append(fields.get("flavour", ""))
    name = " ".join([*(display(value) for value in lead if value), noun])
    if random.random() < 0.3 and not kind.flavour:
        name = f"{random.choice(RANGES.split('|'))} {name}"
    tail = [fields[field] for field in ("size", "pack") if field in fields]
    if "feature" in fields and random.random() < 0.4:
        tail.append(fields["feature"])
    tail = [display(value) for value in tail]
    shape = random.random()
    if shape < 0.55:
        return ", ".join([f"{fields['brand']} {name}", *tail])
    if shape < 0.8:
        return " - ".join([f"{fields['brand']} {name}", *([", ".join(tail)] if tail else [])])
    return f"{', '.join([name, *tail])} | {fields['brand']}"


def _english_body(kind: Kind, fields: dict[str, str], random: Random) -> str:
    body = [random.choice(kind.lines)]
    facts = []
    if fields.get("material") in MATERIAL_LINES and "flavour" not in fields:
        facts.append(MATERIAL_LINES[fields["material"]])
    if "feature" in fields:
        facts.append(FEATURE_LINES.get(fields["feature"], f"{fields['feature'].capitalize()}."))
    if "size" in fields and kind.size_line:
        facts.append(kind.size_line.format(size=fields["size"]))
    if "dietary" in fields:
        facts.append(DIETARY_LINES[fields["dietary"]])
    random.shuffle(facts)
    body += facts[: random.choice((1, 1, 2, 2, 2))]
    if "allergen" in fields:
        body = [*body[:2], f"Contains {fields['allergen']}."]
    elif len(body) < 3 and random.random() < 0.25 and "flavour" not in fields:
        body.append(random.choice(CLOSING_LINES))
    return " ".join(sentence[:1].upper() + sentence[1:] for sentence in body)


def write_chinese(kind: Kind, fields: dict[str, str], random: Random) -> tuple[str, str]:
    """Return the title and body of a Chinese doc; `fields` are already in Chinese."""
    name, lines = chinese.KINDS[kind.name]
    order = ("dietary", "style", "colour", "material", "flavour", "feature")
    lead = [fields[field] for field in order if field in fields and (field != "feature" or random.random() < 0.4)]
    lead = [value for value in lead if value not in name]
    tail = [fields[field] for field in ("size", "pack") if field in fields]
    title = " ".join([fields["brand"], "".join(lead) + name, *tail])
    facts = [chinese.SENTENCES[field].format(value=fields[field]) for field in chinese.SENTENCES if field in fields]
    facts = [fact for fact in facts if not fact.startswith("过敏原")]
    random.shuffle(facts)
    body = [random.choice(lines), *facts[: random.choice((1, 2, 2))]]
    if "allergen" in fields:
        body = [*body[:2], chinese.SENTENCES["allergen"].format(value=fields["allergen"])]
    return title, "".join(body)


def in_chinese(kind: Kind, fields: dict[str, str]) -> dict[str, str]:
    """Return a doc's fields in Chinese, in the usual order; a value without a Chinese name is left unstated."""
    written: dict[str, str] = {}
    for field in FIELDS:
        if field not in fields:
            continue
        if field == "type":
            written[field] = chinese.KINDS[kind.name][0]
        elif field == "brand":
            written[field] = fields[field]
        elif (value := chinese.translate(fields[field])) is not None:
            written[field] = value
    return written
