"""Mobile and Remote Access as decisions: tokens, the allow list, the route of a request. Pure."""
