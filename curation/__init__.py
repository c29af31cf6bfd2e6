"""The domain: completions, features, rules, screens, agreement, policy, tiers; reads files and the store."""
