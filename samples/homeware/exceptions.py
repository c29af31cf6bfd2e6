"""The sixty rare rules: each overrides a frequent rule for one combination of words and values.

They are what an expert knows and a model that learns only the frequent rules gets wrong.
"""

from __future__ import annotations

from samples.homeware.kinds import PREMIUM_BRAND, SISTER_BRANDS, WOODS
from samples.homeware.rules import Predicate, Rule, conflicts, measure

STAPLES = frozenset({"flour", "rice", "pasta", "milk", "olive oil"})
PLANT_DRINKS = frozenset({"oat drink", "soya drink", "almond drink"})
SOLD_IN_SETS = frozenset({"wine glass", "dinner plate", "bowl", "cutlery", "chef knife"})
BERRIES = frozenset({"strawberry", "raspberry", "blueberry"})


def both(query_kind: str, doc_kind: str) -> Predicate:
    """Return the predicate: this kind is asked and that kind is the doc."""
    return lambda query, doc: query.kind == query_kind and doc.kind == doc_kind


def swap(field: str, asked: str, stated: str) -> Predicate:
    """Return the predicate: the query asks one value of a field and the doc states this other one."""
    return lambda query, doc: query.wants.get(field) == asked and doc.fields.get(field) == stated


def within(field: str, values: frozenset[str]) -> Predicate:
    """Return the predicate: the value asked and the value stated both belong to one family."""
    return lambda query, doc: query.wants.get(field) in values and doc.fields.get(field) in values


def dodges(field: str, refused: str, *stated: str) -> Predicate:
    """Return the predicate: the query refuses one value and the doc has another name for the same trouble."""
    return lambda query, doc: query.refuses.get(field) == refused and doc.fields.get(field) in stated


def lacks(feature: str, *materials: str) -> Predicate:
    """Return the predicate: a feature is asked, not stated, and the doc is of one of these materials (or any)."""
    return lambda query, doc: (
        query.wants.get("feature") == feature
        and doc.fields.get("feature") != feature
        and (not materials or doc.fields.get("material") in materials)
    )


FITS = ("all_fits", "plain_type")
RARE_RULES: tuple[Rule, ...] = (
    # other types
    Rule(
        "plant_milk_is_plant_drink",
        "Oat, soya or almond milk is asked: the drink of that plant is exactly that.",
        3,
        lambda query, doc: doc.kind in {f"{cue} drink" for cue in query.cues} and not conflicts(query, doc),
        ("substitute",),
    ),
    Rule(
        "any_plant_milk",
        "A vegan or lactose free milk is asked, no plant named: any plant drink is a good answer.",
        2,
        lambda query, doc: (
            query.kind == "milk"
            and query.wants.get("dietary") in ("vegan", "lactose free", "dairy free")
            and not query.cues
            and doc.kind in PLANT_DRINKS
        ),
        ("substitute",),
    ),
    Rule(
        "pods_need_pods",
        "Coffee pods are asked: beans and ground coffee are no use in a pod machine.",
        0,
        lambda query, doc: query.kind == "coffee pods" and doc.kind in ("coffee beans", "ground coffee"),
        ("substitute",),
    ),
    Rule(
        "pods_are_not_beans",
        "Beans or ground coffee are asked: pods cannot be used.",
        0,
        lambda query, doc: query.kind in ("coffee beans", "ground coffee") and doc.kind == "coffee pods",
        ("substitute",),
    ),
    Rule(
        "cover_is_not_duvet",
        "A duvet cover is asked: the duvet itself is no answer.",
        0,
        both("duvet cover", "duvet"),
        ("substitute",),
    ),
    Rule(
        "cushion_has_cover",
        "A cushion cover is asked: a complete cushion includes one.",
        2,
        both("cushion cover", "cushion"),
        ("substitute",),
    ),
    Rule(
        "case_is_not_pillow",
        "A pillow is asked: a pillowcase is no answer.",
        0,
        both("pillow", "pillowcase"),
        ("accessory",),
    ),
    Rule(
        "carbon_steel_pan_for_wok",
        "A wok is asked: a carbon steel frying pan cooks much the same way.",
        2,
        lambda query, doc: both("wok", "frying pan")(query, doc) and doc.fields.get("material") == "carbon steel",
        ("substitute",),
    ),
    Rule(
        "floor_lamp_by_bed",
        "A bedside or desk lamp is asked: a floor lamp does not fit there.",
        0,
        lambda query, doc: "bedside" in query.cues and doc.kind == "floor lamp",
        ("substitute",),
    ),
    Rule(
        "pods_of_the_brand",
        "A coffee machine of a brand is asked: pods of that brand go with it.",
        2,
        lambda query, doc: (
            both("coffee machine", "coffee pods")(query, doc)
            and "brand" in query.wants
            and query.wants["brand"] == doc.fields.get("brand")
        ),
        ("accessory",),
    ),
    Rule(
        "pods_for_bean_machine",
        "A bean to cup machine is asked: it cannot take pods.",
        0,
        lambda query, doc: (
            both("coffee machine", "coffee pods")(query, doc) and query.wants.get("feature") == "bean to cup"
        ),
        ("accessory",),
    ),
    Rule(
        "underlay_stops_slipping",
        "A non-slip rug is asked: a rug underlay solves the same problem.",
        2,
        lambda query, doc: query.wants.get("feature") == "non-slip" and doc.kind == "rug underlay",
        ("accessory",),
    ),
    # refusals
    Rule("cream_is_nearly_white", "Not white: cream is too close.", 1, dodges("colour", "white", "cream"), FITS),
    Rule(
        "melamine_is_plastic",
        "No plastic: melamine and acrylic are plastic too.",
        0,
        dodges("material", "plastic", "melamine", "acrylic"),
        FITS,
    ),
    Rule(
        "down_is_feather",
        "No feathers: duck down counts as feather.",
        0,
        dodges("material", "feather", "duck down"),
        FITS,
    ),
    Rule("peanuts_are_nuts", "No nuts: peanuts count as nuts.", 0, dodges("allergen", "nuts", "peanuts"), FITS),
    Rule(
        "microfibre_is_polyester",
        "No polyester: microfibre is made of it.",
        0,
        dodges("material", "polyester", "microfibre"),
        FITS,
    ),
    # dietary needs
    Rule(
        "dairy_free_for_vegan",
        "Vegan is asked and the doc only says dairy free.",
        2,
        swap("dietary", "vegan", "dairy free"),
        ("diet_unmet",),
    ),
    Rule(
        "oats_carry_gluten",
        "Gluten free is asked: oats and granola that do not say so carry gluten.",
        0,
        lambda query, doc: query.wants.get("dietary") == "gluten free" and doc.kind in ("porridge oats", "granola"),
        ("diet_unmet",),
    ),
    Rule(
        "no_added_sugar",
        "Sugar free is asked and the doc says no added sugar.",
        2,
        swap("dietary", "sugar free", "no added sugar"),
        ("diet_unmet",),
    ),
    # brands
    Rule(
        "sister_brand",
        "Nordholm and Nordholm Studio are one house.",
        2,
        within("brand", SISTER_BRANDS),
        ("brand_differs",),
    ),
    Rule(
        "compatible_means_other_brand",
        "The query says compatible: another brand is what the shopper wants.",
        3,
        lambda query, _doc: "compatible" in query.cues,
        ("brand_differs",),
    ),
    Rule(
        "staple_of_another_brand",
        "A staple (flour, rice, pasta, milk, olive oil) of another brand does nearly as well.",
        2,
        lambda query, _doc: query.kind in STAPLES,
        ("brand_differs",),
    ),
    Rule(
        "appliance_of_another_brand",
        "A branded kitchen appliance is asked: another brand is no answer.",
        0,
        lambda query, _doc: query.category == "kitchen appliances",
        ("brand_differs",),
    ),
    # sizes
    Rule(
        "sheet_must_fit",
        "A fitted sheet for another bed does not fit at all.",
        0,
        lambda query, _doc: query.kind == "fitted sheet",
        ("bed_size_differs",),
    ),
    Rule(
        "a_hair_over",
        "The doc is over the limit by no more than a tenth.",
        2,
        lambda query, doc: measure(doc.fields["size"]) <= 1.1 * measure(query.limit),
        ("over_limit",),
    ),
    Rule(
        "too_big_to_carry",
        "For travel or for a child, anything clearly over the limit is no use.",
        0,
        lambda query, _doc: bool(query.cues & {"travel", "kids"}),
        ("over_limit",),
    ),
    Rule(
        "pan_two_centimetres_off",
        "A pan within two centimetres of the size asked cooks the same.",
        3,
        lambda query, doc: (
            query.category == "cookware"
            and query.kind != "pan lid"
            and abs(measure(doc.fields["size"]) - measure(query.wants["size"])) <= 2
        ),
        ("size_differs",),
    ),
    Rule(
        "lid_must_fit",
        "A lid of another size does not fit.",
        0,
        lambda query, _doc: query.kind == "pan lid",
        ("size_differs",),
    ),
    Rule(
        "curtain_must_reach",
        "A curtain with another drop does not hang right.",
        1,
        lambda query, _doc: query.kind == "curtain",
        ("size_differs",),
    ),
    Rule(
        "frame_must_fit_print",
        "A picture frame of another size does not take the print.",
        1,
        lambda query, _doc: query.kind == "picture frame",
        ("size_differs",),
    ),
    Rule(
        "bigger_bag",
        "A bigger bag of the same dry goods or coffee is as good.",
        3,
        lambda query, doc: (
            query.wants["size"].split()[-1] in ("g", "kg")
            and measure(doc.fields["size"]) > measure(query.wants["size"])
        ),
        ("size_differs",),
    ),
    # flavours
    Rule(
        "nearly_salted_caramel",
        "Salted caramel is asked and the doc is plain caramel.",
        2,
        swap("flavour", "salted caramel", "caramel"),
        ("flavour_differs",),
    ),
    Rule(
        "one_of_the_berries",
        "Mixed berry is asked and the doc is one berry.",
        2,
        lambda query, doc: query.wants.get("flavour") == "mixed berry" and doc.fields.get("flavour") in BERRIES,
        ("flavour_differs",),
    ),
    Rule(
        "milk_is_not_dark",
        "Dark chocolate is asked: milk or white chocolate is no answer.",
        0,
        lambda query, doc: query.wants.get("flavour") == "dark" and doc.fields.get("flavour") in ("milk", "white"),
        ("flavour_differs",),
    ),
    # materials
    Rule(
        "another_wood",
        "One wood is asked and the doc is another wood.",
        2,
        within("material", WOODS),
        ("material_differs",),
    ),
    Rule(
        "linen_and_its_blend",
        "Linen is asked and the doc is a linen blend, or the other way round.",
        2,
        within("material", frozenset({"linen", "linen blend"})),
        ("material_differs",),
    ),
    Rule(
        "better_cotton",
        "Cotton is asked and the doc is Egyptian cotton.",
        3,
        swap("material", "cotton", "egyptian cotton"),
        ("material_differs",),
    ),
    Rule(
        "plastic_for_glass",
        "Glass is asked and the doc is plastic.",
        0,
        swap("material", "glass", "plastic"),
        ("material_differs",),
    ),
    Rule(
        "feather_for_foam",
        "Memory foam is asked and the doc is feather or down.",
        0,
        lambda query, doc: (
            query.wants.get("material") == "memory foam" and doc.fields.get("material") in ("feather", "duck down")
        ),
        ("material_differs",),
    ),
    Rule(
        "glaze_is_glaze",
        "Stoneware is asked and the doc is porcelain.",
        2,
        swap("material", "stoneware", "porcelain"),
        ("material_differs",),
    ),
    # features
    Rule(
        "aluminium_on_induction",
        "Induction is asked: aluminium that does not say so will not heat.",
        0,
        lacks("induction safe", "aluminium", "copper"),
        ("unstated", "size_differs"),
    ),
    Rule(
        "cast_iron_on_induction",
        "Induction is asked: cast iron and carbon steel always work.",
        3,
        lacks("induction safe", "cast iron", "carbon steel"),
        ("unstated",),
    ),
    Rule(
        "metal_in_microwave",
        "Microwave safe is asked: steel and enamel must never go in.",
        0,
        lacks("microwave safe", "stainless steel", "enamel"),
        ("unstated", "material_differs"),
    ),
    Rule(
        "not_blackout",
        "Blackout is asked and the doc does not state it.",
        1,
        lacks("blackout"),
        ("unstated", "colour_differs"),
    ),
    Rule(
        "glass_in_dishwasher",
        "Dishwasher safe is asked: glass always is.",
        3,
        lacks("dishwasher safe", "glass"),
        ("unstated",),
    ),
    # colours and styles
    Rule(
        "navy_is_blue", "Navy is asked and the doc says blue.", 3, swap("colour", "navy", "blue"), ("colour_differs",)
    ),
    Rule(
        "charcoal_is_grey",
        "Grey is asked and the doc says charcoal.",
        3,
        swap("colour", "grey", "charcoal"),
        ("colour_differs",),
    ),
    Rule(
        "brass_and_gold",
        "Brass is asked and the doc says gold, or the other way round.",
        3,
        within("colour", frozenset({"brass", "gold"})),
        ("colour_differs",),
    ),
    Rule(
        "minimalist_is_scandi",
        "Scandi is asked and the doc says minimalist.",
        3,
        swap("style", "scandi", "minimalist"),
        ("style_differs",),
    ),
    Rule(
        "rustic_is_farmhouse",
        "Farmhouse is asked and the doc says rustic.",
        3,
        swap("style", "farmhouse", "rustic"),
        ("style_differs",),
    ),
    Rule(
        "not_for_children",
        "Something for children is asked and the doc has a grown-up style.",
        0,
        lambda query, _doc: query.wants.get("style") == "kids",
        ("style_differs",),
    ),
    Rule(
        "not_christmas",
        "Something for Christmas is asked and the doc has another style.",
        1,
        lambda query, _doc: query.wants.get("style") == "christmas",
        ("style_differs",),
    ),
    # packs
    Rule(
        "gift_set_for_gift",
        "A gift is wanted and the doc is a gift set.",
        3,
        lambda query, doc: "gift" in query.cues and doc.fields.get("pack") == "gift set",
        ("unasked_pack",),
    ),
    Rule(
        "sold_in_sets",
        "Glasses, plates, bowls and cutlery are usually bought as a set.",
        3,
        lambda query, doc: query.kind in SOLD_IN_SETS and doc.fields["pack"][0] in "s12",
        ("unasked_pack",),
    ),
    Rule(
        "spare_part",
        "The doc is a spare part for the thing asked.",
        0,
        lambda _query, doc: doc.fields.get("pack") == "spare part",
        ("unasked_pack",),
    ),
    # the rest
    Rule(
        "cheap_is_not_premium",
        "The query says cheap and the doc is from the premium brand.",
        1,
        lambda query, doc: "cheap" in query.cues and doc.fields.get("brand") == PREMIUM_BRAND,
        FITS,
    ),
    Rule(
        "breakable_for_children",
        "Something for children is asked and the doc is glass or porcelain.",
        1,
        lambda query, doc: "kids" in query.cues and doc.fields.get("material") in ("glass", "porcelain", "bone china"),
        FITS,
    ),
    Rule(
        "english_for_chinese",
        "The query is Chinese and a doc that otherwise fits is written in English.",
        2,
        lambda query, doc: query.is_chinese and not doc.is_chinese,
        FITS,
    ),
    Rule(
        "chinese_for_english",
        "The query is English and a doc that otherwise fits is written in Chinese.",
        1,
        lambda query, doc: doc.is_chinese and not query.is_chinese,
        FITS,
    ),
)
