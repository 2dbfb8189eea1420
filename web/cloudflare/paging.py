"""Pages as Cloudflare's clients ask for them: by number (an empty page ends the list), or by cursor."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field

from web.payloads import Body

DEFAULT_PER_PAGE = 25
MAX_PER_PAGE = 100
MAX_PAGE = 1_000_000

Page = Annotated[int, Field(ge=1, le=MAX_PAGE)]
PerPage = Annotated[int, Field(ge=1, le=MAX_PER_PAGE)]


class PageQuery(Body):
    page: Page = 1
    per_page: PerPage = DEFAULT_PER_PAGE

    @property
    def start(self) -> int:
        return (self.page - 1) * self.per_page


def page_info(page: int, per_page: int, count: int, total: int) -> dict[str, Any]:
    return {
        "count": count,
        "page": page,
        "per_page": per_page,
        "total_count": total,
        "total_pages": math.ceil(total / per_page),
    }
