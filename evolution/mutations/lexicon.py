"""The few words no workspace can teach: spoken words, words in two languages, slips of the pen, requests, cities.

Kept small on purpose, a line each: they let an operator be tried without a model, and a model with a prompt knows
more. Everything that is asked for instead of something else comes from the workspace, not from here, cities excepted
where docs have no field for them.
"""

from __future__ import annotations

# Written word -> what people say instead; it means the same.
SLANG: dict[str, str] = {
    "biscuits": "bikkies", "breakfast": "brekkie", "vegetables": "veg", "chocolate": "choc", "cheap": "cheapo",
    "television": "telly", "refrigerator": "fridge", "bicycle": "bike", "photograph": "pic", "information": "info",
    "sofa": "couch", "pyjamas": "jammies", "christmas": "xmas", "microwave": "micro", "present": "pressie",
    "怎么": "咋", "什么": "啥", "为什么": "为啥", "没有": "木有", "厉害": "牛", "孩子": "娃", "便宜": "白菜价",
    "漂亮": "好看", "儿童": "宝宝", "不要": "别要", "父亲": "老爸", "母亲": "老妈",
}  # fmt: skip

# One word in two languages, for queries that mix them.
TWO_LANGUAGES: tuple[tuple[str, str], ...] = (
    ("white", "白色"), ("black", "黑色"), ("grey", "灰色"), ("red", "红色"), ("blue", "蓝色"), ("pink", "粉色"),
    ("green", "绿色"), ("gold", "金色"), ("silver", "银色"), ("glass", "玻璃"), ("cotton", "纯棉"),
    ("stainless steel", "不锈钢"), ("plastic", "塑料"), ("wool", "羊毛"), ("linen", "亚麻"), ("oak", "橡木"),
    ("mug", "马克杯"), ("kettle", "电热水壶"), ("chocolate", "巧克力"), ("green tea", "绿茶"),
    ("coffee", "咖啡"), ("milk", "牛奶"), ("honey", "蜂蜜"), ("organic", "有机"), ("vegan", "纯素"), ("gift", "礼物"),
    ("kids", "儿童"), ("travel", "旅行"), ("phone", "手机"), ("computer", "电脑"), ("car", "汽车"), ("game", "游戏"),
    ("movie", "电影"), ("music", "音乐"), ("recipe", "做法"), ("hotel", "酒店"), ("weather", "天气"),
    ("download", "下载"), ("ranking", "排名"), ("price", "价格"), ("school", "学校"), ("doctor", "医生"),
)  # fmt: skip

# Characters typed for each other: they sound alike.
HOMOPHONES: tuple[str, ...] = (
    "的地得", "在再", "做作坐座", "像象", "账帐", "份分", "哪那", "带戴", "历厉力", "以已", "须需", "绩迹", "竟竞",
    "蓝篮", "炉卢", "杯背", "茶查", "豆逗", "板版", "浴玉",
)  # fmt: skip

# What people put around a query without asking for anything else.
REQUESTS: tuple[str, ...] = ("looking for {}", "show me {}", "{} please", "i need {}", "where do i find {}")
REQUESTS_UNSPACED: tuple[str, ...] = ("请问{}", "我想找{}", "帮我找{}", "{} 有没有", "求{}")

# Page furniture that says nothing of the thing on the page.
FURNITURE: tuple[str, ...] = (
    "Free delivery on orders over 50. Returns within 30 days.",
    "Sign up for our newsletter and never miss an offer.",
    "We use cookies. Read more in our privacy notice.",
    "Customer service is open Monday to Friday, nine to five.",
)
FURNITURE_UNSPACED: tuple[str, ...] = (
    "关注公众号，获取更多优惠信息。",
    "本站支持七天无理由退换，满五十元包邮。",
    "版权所有，转载请注明出处。",
    "点击下方链接，下载客户端查看更多内容。",
)
BESIDE = "Customers also looked at: {}."
BESIDE_UNSPACED = "大家还看了：{}。"

# Cities, by country: where docs have no field for a place.
PLACES: tuple[tuple[str, ...], ...] = (
    (
        "北京",
        "上海",
        "广州",
        "深圳",
        "成都",
        "武汉",
        "杭州",
        "南京",
        "重庆",
        "西安",
        "天津",
        "长沙",
        "郑州",
        "青岛",
        "沈阳",
    ),
    ("london", "manchester", "birmingham", "leeds", "glasgow", "bristol"),
    ("new york", "los angeles", "chicago", "houston", "boston", "seattle"),
)
