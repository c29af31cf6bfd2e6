"""How Streamlit's own widgets look: one accent colour, system fonts, light and dark after the reader's system."""

from __future__ import annotations

FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', "
    "'Noto Sans CJK SC', 'Source Han Sans SC', sans-serif"
)
CODE_FONT = "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace"

# grades, and whatever is more or less: the card's ramp of one hue from light to dark, with a step between each two
RAMP = [
    "#eaf1f8", "#dde9f4", "#cfe0f0", "#bfd6eb", "#aecbe6", "#97bbdb", "#7faad0", "#5f8eba", "#3f72a3", "#1d4b78",
]  # fmt: skip

LOOK = {
    "theme.font": FONT,
    "theme.headingFont": FONT,
    "theme.codeFont": CODE_FONT,
    "theme.baseFontSize": 16,
    "theme.baseRadius": "4px",
    "theme.showWidgetBorder": True,
    "theme.headingFontSizes": ["1.5rem", "1.25rem", "1.125rem", "1rem", "1rem", "1rem"],
    "theme.chartSequentialColors": RAMP,
    "theme.paddingTop": "0.25rem",
    "theme.paddingBottom": "1rem",
    "theme.light.primaryColor": "#2f5d8a",
    "theme.light.linkColor": "#2f5d8a",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f0f3f6",
    "theme.light.textColor": "#141a20",  # what is said aside is a mix of three parts of it with two of the ground
    "theme.light.chartCategoricalColors": ["#2f5d8a", "#8a5a2f", "#5f6b76", "#7b4f8a", "#2f7d78"],
    "theme.dark.primaryColor": "#8ab4dc",
    "theme.dark.linkColor": "#8ab4dc",
    "theme.dark.backgroundColor": "#14181c",
    "theme.dark.secondaryBackgroundColor": "#1f252b",
    "theme.dark.textColor": "#e4e8ec",
    "theme.dark.chartCategoricalColors": ["#8ab4dc", "#dcb48a", "#a3aeb9", "#c79fd6", "#7fc4bf"],
}
