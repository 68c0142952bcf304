"""Names a browser or a program by its User-Agent header, for the list of sign-ins."""

#: The first that is found counts: most browsers also name the older ones.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def name_of(user_agent: str) -> str:
    """Return "Firefox on Linux"; what is no browser is named by its first word."""
    if not user_agent:
        return "unnamed"
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    if not browser:
        return user_agent.split()[0][:60] if user_agent.split() else "unnamed"
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser
