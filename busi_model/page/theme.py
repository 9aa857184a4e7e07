"""How the page looks: fonts that ship with Gradio, quiet colours that pass WCAG AA, light and dark."""

import gradio as gr

# Weights 400 and 700 only: Gradio's 600 file of this font lacks most letters.
FONT = (gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")


def calm_theme() -> gr.themes.Base:
    """Slate and teal; accents dark enough for white letters and for letters on white (5.5:1)."""
    return gr.themes.Default(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        text_size="lg",
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
    )


CSS = """
/* clip, not hidden: inside a scrolling box the notice could not stick to the window. */
.gradio-container { max-width: 1600px !important; overflow: clip !important; }
.gradio-container .html-container { padding: 0; }
.dark { --color-accent: var(--primary-300); }
footer { display: none !important; }

#notice { position: sticky; top: 0; z-index: 50; }
#notice p {
  margin: 0; padding: 6px 12px; border-radius: 6px; text-align: center; font-weight: 700;
  color: #422006; background: #fde68a;
}
#heading h1 { margin: 0; font-size: 1.6rem; font-weight: 700; line-height: 1.2; }
#heading h1 small {
  margin-left: .6em; font-size: 1.05rem; font-weight: 400; color: var(--body-text-color-subdued);
}

/* Gradio stacks the three words of its drop field; in one line they fit below the label. */
#upload .upload-container .wrap {
  flex-direction: row; gap: .5em; min-height: 0; padding-top: 26px; font-size: 1.05rem; line-height: 1.3;
}
#upload .upload-container .icon-wrap { width: 22px; margin: 0; }
#upload .upload-container { border: 2px dashed var(--body-text-color-subdued); border-radius: 8px; }

#viewer { padding: 0; border-color: #000; background: #000; }
#viewer button, #viewer .image-frame { width: 100%; }
#viewer img { width: 100%; max-height: 78vh; object-fit: contain; background: #000; }
/* Hidden by Gradio for the eye only: a screen reader would read out "queue: 1/1". */
#result [data-testid="status-tracker"], #viewer [data-testid="status-tracker"] { display: none; }
#examples { align-items: center; gap: 8px; }
.prose table th, .prose table td { border-color: var(--border-color-primary) !important; }
.quiet p { margin: 0; font-size: .95rem; line-height: 1.4; color: var(--body-text-color-subdued); }

.result {
  padding: 18px 22px; border: 1px solid var(--border-color-primary); border-radius: 10px;
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
.result .warnings h3 { margin: 0 0 2px; }
.result .warnings h3, .result .warnings li { color: #451a03; }
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
.result .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.result.busy h2 { animation: breathe 1.2s ease-in-out infinite alternate; }
@keyframes breathe { from { opacity: 1; } to { opacity: .45; } }
@media (prefers-reduced-motion: reduce) { .result.busy h2 { animation: none; } }
@media (max-width: 640px) {
  .result { padding: 14px; }
  .result h2 { font-size: 1.45rem; }
  #viewer img { max-height: 60vh; }
  #heading h1 small { display: block; margin: 0; }
  #notice p { font-size: .9rem; }
}

/* Outline editor: the line is that of the overlay, yellow with a dark rim. */
.outline-editor .tools { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 8px; }
.outline-editor .tools button {
  min-height: 36px; padding: 4px 10px; border: 1px solid var(--border-color-primary); border-radius: 6px;
  font-size: .95rem; color: var(--body-text-color); background: var(--button-secondary-background-fill);
}
.outline-editor .tools button[aria-pressed="true"] { color: #fff; border-color: #0f766e; background: #0f766e; }
.outline-editor .tools button:disabled { opacity: .45; }
.outline-editor svg {
  display: block; width: 100%; max-height: 72vh; border-radius: 8px; background: #000; touch-action: pan-y;
  user-select: none;
}
.outline-editor.zoomed svg, .outline-editor.drawing svg, .outline-editor circle { touch-action: none; }
.outline-editor.zoomed svg { cursor: grab; }
.outline-editor.drawing svg { cursor: crosshair; }
.outline-editor :is(polygon, polyline, circle) { vector-effect: non-scaling-stroke; }
.outline-editor :is(polygon, polyline) { fill: none; stroke-linejoin: round; }
.outline-editor .rim { stroke: #000; stroke-opacity: .65; stroke-width: 5px; }
.outline-editor .line { stroke: #ffdd33; stroke-width: 1.5px; }
.outline-editor .line.current { stroke-width: 2.2px; }
.outline-editor circle { fill: #ffdd33; stroke: #000; stroke-width: 1px; }
.outline-editor circle.current { fill: #fff; }
.outline-editor :is(svg, polygon, circle, button):focus-visible { outline: 3px solid #2dd4bf; outline-offset: 2px; }
.outline-editor circle:focus { outline: none; stroke: #2dd4bf; stroke-width: 3px; }
.outline-editor .status { margin: 6px 0 0; font-weight: 700; }
.outline-editor .help { font-size: .95rem; line-height: 1.4; color: var(--body-text-color-subdued); }
.outline-editor .help summary { cursor: pointer; }
.outline-editor .help p { margin: 2px 0 0; }

/* Reading sessions */
#session-door, #session-profile { max-width: 640px; }
.door-words h2 { margin: 0 0 6px; font-size: 1.6rem; font-weight: 700; }
.door-words p { margin: 0; line-height: 1.45; }
.storage-warning {
  margin: 0; padding: 10px 14px; border-radius: 6px; font-weight: 700; color: #fff; background: #b91c1c;
}
.reading-progress { display: flex; flex-wrap: wrap; gap: 2px 16px; justify-content: space-between; }
.reading-progress [role=progressbar] { width: 100%; height: 8px; border-radius: 4px; background: #e2e8f0; }
.reading-progress [role=progressbar] div { height: 100%; border-radius: 4px; background: #0f766e; }
.dark .reading-progress [role=progressbar] { background: #334155; }
.dark .reading-progress [role=progressbar] div { background: #2dd4bf; }
.reading-receipt, .reading-remark {
  margin: 0; padding: 8px 14px; border-left: 5px solid #0f766e; background: var(--block-background-fill);
}
.reading-problem { margin: 0; padding: 10px 14px; border-left: 5px solid #b91c1c; color: #7f1d1d; background: #fee2e2; }
.task .says { font-size: 1.3rem; }
.task .locked { margin-top: 12px; padding: 4px 10px; border: 1px dashed currentColor; border-radius: 6px; }
#host-door { max-width: 560px; }
.figures { overflow-x: auto; }
.figures table { width: 100%; border-collapse: collapse; font-size: .95rem; }
.figures caption { padding: 8px 0 4px; text-align: left; font-size: 1.1rem; font-weight: 700; }
.figures :is(th, td) {
  padding: 4px 10px 4px 0; text-align: left; border-bottom: 1px solid var(--border-color-primary);
}
.figures td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.plots { width: 100%; border-radius: 8px; }
"""
