"""How the page looks: fonts that ship with Gradio, quiet colours that pass WCAG AA, light and dark."""

import gradio as gr

# Weights 400 and 700 only: Gradio's 600 file of this font lacks most letters.
FONT = (gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
# Gradio's large text in rem: it follows the browser's own size of letters, and LARGE_SCREEN.
TEXT = gr.themes.Size("0.625rem", "0.75rem", "0.875rem", "1rem", "1.25rem", "1.5rem", "1.75rem", name="text_lg_rem")
# For the head of the page: Gradio keeps `css` to what is inside its own container.
LARGE_SCREEN = "<style>@media (min-width: 2600px) { html { font-size: 125%; } }</style>"
MONO = ("ui-monospace", "Consolas", "monospace")


def calm_theme() -> gr.themes.Base:
    """Slate and teal; accents dark enough for white letters and for letters on white (5.5:1)."""
    return gr.themes.Default(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        text_size=TEXT,
        font=FONT,
        font_mono=MONO,
    ).set(
        body_text_color="*neutral_800",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_weight="700",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_large_text_weight="700",
        button_medium_text_weight="700",
        button_small_text_weight="400",
        color_accent="*primary_700",
        # An empty radio button or box must be seen, too (3:1).
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
    )


CSS = """
/* clip, not hidden: inside a scrolling box the notice could not stick to the window. */
.gradio-container { width: 100%; max-width: 3600px !important; margin: 0 auto; overflow: clip !important; }
.gradio-container .html-container { padding: 0; }
.dark { --color-accent: var(--primary-300); }
footer { display: none !important; }
/* Under the pointer Gradio paints a chosen one white on white unless it has the focus. */
.gradio-container input:is([type="radio"], [type="checkbox"]):checked:hover {
  border-color: var(--checkbox-border-color-selected); background-color: var(--checkbox-background-color-selected);
}

/* Hidden by Gradio for the eye only: a screen reader would read out "queue: 1/1". */
.html-container > [data-testid="status-tracker"] { display: none; }
#examples { align-items: center; gap: 8px; }
.prose table th, .prose table td { border-color: var(--border-color-primary) !important; }
.quiet p { margin: 0; font-size: .95rem; line-height: 1.4; color: var(--body-text-color-subdued); }

.result {
  padding: 12px 16px; border: 1px solid var(--border-color-primary); border-radius: 10px;
  background: var(--block-background-fill); font-size: 1.05rem; line-height: 1.4;
}
.result h2 { margin: 0 0 6px; font-size: 1.75rem; font-weight: 700; line-height: 1.2; }
.result h3 { margin: 16px 0 4px; font-size: 1.05rem; font-weight: 700; }
.result p { margin: 0 0 6px; }
.result .synthetic { padding: 4px 10px; border: 1px dashed currentColor; border-radius: 6px; }
.result .warnings {
  margin: 12px 0 4px; padding: 10px 14px; border-left: 5px solid #b45309; border-radius: 4px;
  background: #fef3c7;
}
.result .warnings li { color: #451a03; }
.result .warnings ul { margin: 0; padding-left: 1.2em; list-style: disc; }

.result table { width: 100%; margin-top: 14px; border-collapse: collapse; }
.result caption { padding-bottom: 4px; text-align: left; font-weight: 700; }
.result tbody th, .result tbody td { padding: 5px 0; border: 0; vertical-align: middle; }
.result tbody th { width: 6.2em; text-align: left; font-weight: 400; }
.result td.figure { width: 5.5em; white-space: nowrap; font-variant-numeric: tabular-nums; }
.result tr.chosen th, .result tr.chosen td { font-weight: 700; }
.result td.bar > div { height: 14px; border-radius: 3px; overflow: hidden; background: #e2e8f0; }
.result td.bar > div > div { height: 100%; background: #64748b; }
.result tr.chosen td.bar > div > div { background: #0f766e; }
.dark .result td.bar > div { background: #334155; }
.dark .result td.bar > div > div { background: #94a3b8; }
.dark .result tr.chosen td.bar > div > div { background: #2dd4bf; }

.result.busy h2 { animation: breathe 1.2s ease-in-out infinite alternate; }
@keyframes breathe { from { opacity: 1; } to { opacity: .45; } }
@media (prefers-reduced-motion: reduce) { .result.busy h2 { animation: none; } }
@media (max-width: 640px) {
  .result { padding: 14px; }
  .result h2 { font-size: 1.45rem; }
}
"""
