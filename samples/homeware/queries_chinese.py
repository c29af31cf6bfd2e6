"""Queries typed in Chinese."""

from __future__ import annotations

from samples.homeware.intents import Query, ask

CHINESE_QUERIES: tuple[Query, ...] = (
    ask("白色骨瓷马克杯", "mug", colour="white", material="bone china"),
    ask("送礼马克杯", "mug", cues="gift"),
    ask("平底锅 28厘米 电磁炉适用", "frying pan", size="28 cm", feature="induction safe"),
    ask("炒锅 不要不粘", "wok", no="feature=non-stick"),
    ask("电热水壶 1.5升 不锈钢", "kettle", size="1.5 l", material="stainless steel"),
    ask("电饭煲 1升以下", "rice cooker", limit="1 l"),
    ask("竹砧板", "chopping board", material="bamboo"),
    ask("玻璃密封罐", "storage jar", material="glass"),
    ask("玻璃饭盒 可微波", "lunch box", material="glass", feature="microwave safe"),
    ask("1.8米床 纯棉被套 灰色", "duvet cover", size="king", material="cotton", colour="grey"),
    ask("记忆棉枕头", "pillow", material="memory foam"),
    ask("浴巾 不要白色", "bath towel", no="colour=white"),
    ask("北欧风台灯", "table lamp", style="scandi", cues="bedside"),
    ask("棉麻抱枕", "cushion", material="linen blend"),
    ask("遮光窗帘", "curtain", feature="blackout"),
    ask("薰衣草香薰蜡烛", "candle", flavour="lavender"),
    ask("燕麦奶 咖啡大师", "oat drink", flavour="barista"),
    ask("无乳糖牛奶", "milk", dietary="lactose free"),
    ask("茉莉绿茶 散茶", "green tea", flavour="jasmine", feature="loose leaf"),
    ask("黑巧 巧克力", "chocolate", flavour="dark"),
    ask("无糖饼干", "biscuits", dietary="sugar free"),
    ask("云岫茶舍 红茶", "black tea", brand="云岫茶舍"),
    ask("混合坚果 不要花生", "mixed nuts", no="allergen=peanuts"),
)
