"""What the shop sells: a kind of thing and the values its fields may take.

Vocabulary is data. A kind's lists are written with `|` so that a page of them can be read at a glance.
"""

from __future__ import annotations

from dataclasses import dataclass

FIELDS = (
    "brand",
    "category",
    "type",
    "colour",
    "material",
    "style",
    "size",
    "feature",
    "pack",
    "flavour",
    "dietary",
    "allergen",
)
# The fields a kind draws a value for, and how often a doc of that kind states it.
DRAWN_FIELDS = {
    "colour": 0.96,
    "material": 0.96,
    "style": 0.7,
    "size": 0.97,
    "feature": 0.72,
    "pack": 0.2,
    "flavour": 0.98,
    "dietary": 0.62,
    "allergen": 0.62,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of product. `nouns` are what titles call it; sizes ascend; `lines` open a doc's body."""

    name: str
    category: str
    brands: str
    nouns: str
    lines: tuple[str, ...]
    colour: str = ""
    material: str = ""
    style: str = ""
    size: str = ""
    feature: str = ""
    pack: str = ""
    flavour: str = ""
    dietary: str = ""
    allergen: str = ""
    size_line: str = ""

    def values(self, field: str) -> list[str]:
        """Return the values a drawn field may take, in the order written; empty when the kind has no such field."""
        written: str = getattr(self, field)
        return written.split("|") if written else []


# An accessory -> the things it belongs to.
ACCESSORIES: dict[str, tuple[str, ...]] = {
    "pan lid": ("frying pan", "saucepan", "casserole", "wok"),
    "knife sharpener": ("chef knife",),
    "pillowcase": ("pillow",),
    "duvet cover": ("duvet",),
    "cushion cover": ("cushion",),
    "lampshade": ("table lamp", "floor lamp"),
    "light bulb": ("table lamp", "floor lamp", "pendant light"),
    "curtain pole": ("curtain",),
    "rug underlay": ("rug",),
    "coffee pods": ("coffee machine",),
    "coffee beans": ("coffee machine",),
    "ground coffee": ("coffee machine",),
}

# Kinds that do nearly the same job.
SUBSTITUTES: tuple[frozenset[str], ...] = (
    frozenset({"frying pan", "wok"}),
    frozenset({"saucepan", "casserole"}),
    frozenset({"mug", "water bottle"}),
    frozenset({"bowl", "dinner plate"}),
    frozenset({"storage jar", "lunch box"}),
    frozenset({"duvet cover", "duvet"}),
    frozenset({"duvet", "throw"}),
    frozenset({"cushion cover", "cushion"}),
    frozenset({"table lamp", "floor lamp"}),
    frozenset({"storage basket", "laundry basket"}),
    frozenset({"bath towel", "bath mat"}),
    frozenset({"milk", "oat drink", "soya drink", "almond drink"}),
    frozenset({"coffee beans", "ground coffee", "coffee pods"}),
    frozenset({"green tea", "black tea", "herbal tea"}),
    frozenset({"granola", "porridge oats"}),
    frozenset({"honey", "jam"}),
    frozenset({"pasta", "noodles"}),
    frozenset({"chocolate", "biscuits"}),
    frozenset({"crisps", "mixed nuts"}),
)

BRANDS: dict[str, str] = {
    "kitchen": "Nordholm|Nordholm Studio|Hearthline|Brackwell|Terrane|Plainly|Atelier Corvane|Marlow & Thane",
    "appliance": "Veltano|Brackwell|Ampleford Works|Plainly|Atelier Corvane",
    "table": "Nordholm|Nordholm Studio|Terrane|Saltpan Pottery|Plainly|Atelier Corvane|Marlow & Thane",
    "bed": "Dovefold|Stillmoor|Nordholm|Plainly|Atelier Corvane|Loomery Lane",
    "bath": "Tidewell|Dovefold|Plainly|Loomery Lane|Nordholm",
    "light": "Lumenwick|Nordholm|Nordholm Studio|Brassfield|Plainly|Atelier Corvane",
    "decor": "Nordholm|Nordholm Studio|Fernhaven|Loomery Lane|Plainly|Atelier Corvane|Brassfield",
    "coffee": "Veltano|Copper Finch|Slow Harbour|Plainly|Hill & Husk",
    "tea": "Mistpeak|Slow Harbour|Little Thicket|Plainly",
    "plant": "Oatwell|Sundrift|Brightfold|Plainly",
    "dairy": "Hollin Farm|Dale & Churn|Plainly",
    "breakfast": "Pip & Barley|Meadowmill|Little Thicket|Brightfold|Plainly",
    "snack": "Brightfold|Harrow Lane|Salt & Thistle|Plainly|Pip & Barley",
    "pantry": "Casa Torvina|Meadowmill|Jade Wharf|Harrow Lane|Plainly",
}
PREMIUM_BRAND = "Atelier Corvane"
SISTER_BRANDS = frozenset({"Nordholm", "Nordholm Studio"})

# Values a shopper takes for each other: the near miss a catalogue must hold for the exceptions to have something to do.
NEAR_VALUES: dict[tuple[str, str], str] = {
    ("colour", "navy"): "blue",
    ("colour", "grey"): "charcoal",
    ("colour", "gold"): "brass",
    ("colour", "brass"): "gold",
    ("material", "oak"): "walnut",
    ("material", "walnut"): "acacia",
    ("material", "acacia"): "bamboo",
    ("material", "bamboo"): "beech",
    ("material", "linen"): "linen blend",
    ("material", "cotton"): "egyptian cotton",
    ("material", "glass"): "plastic",
    ("material", "stoneware"): "porcelain",
    ("style", "scandi"): "minimalist",
    ("style", "farmhouse"): "rustic",
    ("flavour", "salted caramel"): "caramel",
    ("flavour", "mixed berry"): "strawberry",
    ("flavour", "dark"): "milk",
    ("dietary", "vegan"): "dairy free",
    ("dietary", "sugar free"): "no added sugar",
    ("dietary", "lactose free"): "dairy free",
    ("dietary", "organic"): "fairtrade",
}
NEAR_BRANDS = {"Nordholm": "Nordholm Studio", "Nordholm Studio": "Nordholm"}
# What stands in for something a shopper does not want.
EVASIONS: dict[tuple[str, str], str] = {
    ("colour", "white"): "cream",
    ("material", "plastic"): "melamine",
    ("material", "feather"): "duck down",
    ("material", "polyester"): "microfibre",
    ("allergen", "nuts"): "peanuts",
}
WOODS = frozenset({"oak", "walnut", "acacia", "bamboo", "beech"})
CLEAR_MATERIALS = frozenset({"glass", "crystal", "acrylic", "plastic", "silicone"})
METALLIC_COLOURS = frozenset({"brass", "gold", "silver", "copper"})
UNPAINTED_MATERIALS = WOODS | {"rattan", "jute", "seagrass", "marble"}
BED_SIZES = ("single", "double", "king", "super king")
# A dietary need -> the allergens that break it.
BROKEN_BY: dict[str, frozenset[str]] = {
    "vegan": frozenset({"milk", "egg"}),
    "dairy free": frozenset({"milk"}),
    "gluten free": frozenset({"gluten"}),
}
