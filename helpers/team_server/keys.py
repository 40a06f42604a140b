from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

TEAMS = {  # budgets are in USD
    "key-of-support": {"models": ["small"], "max_budget": 0.0001},
    "key-of-research": {"models": ["small", "claude"], "max_budget": 5.0},
}


async def who(request, api_key):
    if api_key not in TEAMS:
        raise HTTPException(401, "no team has this key")
    return UserAPIKeyAuth(api_key=api_key, **TEAMS[api_key])
