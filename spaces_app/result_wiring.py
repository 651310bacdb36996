"""What the results do: explain a row, give files, push."""

import gradio as gr
from huggingface_hub import get_token

from lead_hub.errors import LeadHubError
from spaces_app.events import QUIETLY, Updates
from spaces_app.results import Results, Shown, csv_text, explained, json_text
from spaces_app.status import problem, pushed_html, sign_in_html, told
from spaces_app.visitors import Surroundings, visitor

# The file is made in the browser: on the server no copy of a private dataset's results is left behind.
SAVE = """(text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "%s"}));
  link.download = "%s";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""
LINK = "(query) => query ? window.location.origin + window.location.pathname + '?' + query : ''"


def wire_results(app: gr.Blocks, results: Results, shown: gr.State, *, place: Surroundings) -> None:
    """Connect them."""

    def chosen(found: Shown | None, number: int | None) -> Updates:
        return explained(results, found, number)

    def pressed(found: Shown | None, event: gr.SelectData) -> Updates:
        number = found.number(event.row_value) if found else None
        return {results.choice: gr.skip() if number is None else number}

    def pushed_by_hand(
        found: Shown | None,
        repository: str,
        visibility: str,
        collection: bool,  # noqa: FBT001 - as the checkbox gives it
        token: gr.OAuthToken | None,
    ) -> str:
        who = visitor(place, token=token.token if token else None)
        if not who.is_signed_in or (who.token is None and get_token() is None):
            return sign_in_html(place, name=None, has_login=False)
        if found is None or not repository.strip():
            return problem("Name the dataset repository to push to, such as your-name/lead-scores.")
        private = None if visibility == "as" else visibility == "private"
        try:
            pushed = found.board.push_to_hub(
                repository.strip(), private=private, collection=collection, token=who.token
            )
        except LeadHubError as error:
            return problem(told(error, place))
        return pushed_html(pushed)

    def greeted(profile: gr.OAuthProfile | None) -> Updates:
        name = profile.username if profile else None
        updates: Updates = {results.signed: sign_in_html(place, name=name, has_login=get_token() is not None)}
        return {**updates, results.repository: f"{name}/lead-scores" if name else gr.skip()}

    results.choice.change(chosen, [shown, results.choice], [results.confusion, results.snippet], **QUIETLY)
    results.table.select(pressed, shown, results.choice, **QUIETLY)
    results.query.change(None, results.query, results.link, js=LINK, api_visibility="private")
    for button, text, kind, name in (
        (results.csv, csv_text, "text/csv", "leaderboard.csv"),
        (results.json, json_text, "application/json", "leaderboard.json"),
    ):
        button.click(text, shown, results.file_text, **QUIETLY).then(
            None, results.file_text, None, js=SAVE % (kind, name), api_visibility="private"
        )
    results.push.click(
        pushed_by_hand,
        [shown, results.repository, results.visibility, results.collection],
        results.pushed,
        api_visibility="private",
    )
    app.load(greeted, None, [results.signed, results.repository], **QUIETLY)
