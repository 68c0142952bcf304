"""Models served by the agent, with runtimes and portals that tests script."""
