"""From decisions to what happens next: the routes of a dialogue, checked, applied and drawn."""

from duobiao.routing.check import check_routes, load_routes, summary
from duobiao.routing.draw import draw_routes
from duobiao.routing.routes import Route, Routes

__all__ = ["Route", "Routes", "check_routes", "draw_routes", "load_routes", "summary"]
