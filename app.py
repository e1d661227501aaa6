"""The vaereg dashboard: `streamlit run app.py`."""


def main() -> None:
    """Name the pages and run the one that is open."""
    from pathlib import Path

    import streamlit as st

    assets = Path(__file__).parent / "assets"
    st.set_page_config(
        page_title="vaereg: microstructure design",
        page_icon=assets / "icon.svg",  # for an emoji Streamlit loads all that there are
        layout="wide",
        initial_sidebar_state="auto",
    )
    st.logo(assets / "logo.svg", size="large")
    st.html(assets / "style.css")
    page = st.navigation(
        [
            st.Page("pages/design.py", title="Design", default=True),
            st.Page("pages/explore.py", title="Explore"),
            st.Page("pages/predict.py", title="Predict"),
            st.Page("pages/compare.py", title="Compare & export"),
            st.Page("pages/chart.py", title="Chart"),
            st.Page("pages/batch.py", title="Batch"),
            st.Page("pages/model.py", title="Model"),
        ],
        position="top",
    )
    with st.spinner("Starting …"):  # the first import of the model's libraries takes seconds
        from pages.parts.common import start
    start.enter_app()
    page.run()


# Streamlit runs this file as a script for every session. Before, its server imports the file once and finds
# `app`, which adds a route for previews. The solver's worker processes import it under a third name.
if __name__ == "__main__":
    main()
elif __name__ != "__mp_main__":
    from streamlit import config
    from streamlit.starlette import App

    from pages.parts.common.requests.live_server import live_routes
    from pages.parts.design.warm_up import begin_warm_up
    from pages.parts.explore.warm_up import prepare_map

    hosts = list(config.get_option("server.corsAllowedOrigins"))
    if config.is_manually_set("browser.serverAddress"):
        hosts.append(config.get_option("browser.serverAddress"))
    app = App(__file__, routes=live_routes(config.get_option("server.baseUrlPath") or "", hosts))
    begin_warm_up(prepare_map)
