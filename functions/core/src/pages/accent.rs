//! Colours that can be read whatever accent is set (WCAG 2.2 1.4.3: text at 4.5 to 1).

use crate::config::Accent;

/// The lightest and the darkest that text in the accent colour stands on, as in the stylesheet.
const LIGHT_GROUND: [u8; 3] = [0xf3, 0xf4, 0xf7];
const DARK_GROUND: [u8; 3] = [0x26, 0x2b, 0x34];
const TEXT_CONTRAST: f64 = 4.6;
const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [0; 3];

/// The custom properties that carry the accent into the stylesheet.
pub(super) fn properties(Accent(accent): Accent) -> String {
    let light = readable(accent, LIGHT_GROUND, BLACK);
    let dark = readable(accent, DARK_GROUND, WHITE);
    format!(
        ":root{{--accent:{};--on-accent:{};--link-on-light:{};--link-on-dark:{}}}\n",
        Accent(accent),
        on(Accent(accent)),
        Accent(light),
        Accent(dark)
    )
}

/// The colour of what stands on the accent.
pub(super) fn on(Accent(accent): Accent) -> Accent {
    Accent(if contrast(accent, WHITE) >= TEXT_CONTRAST { WHITE } else { more_contrast(accent) })
}

/// Black or white, whichever stands out more.
fn more_contrast(accent: [u8; 3]) -> [u8; 3] {
    if contrast(accent, WHITE) >= contrast(accent, BLACK) { WHITE } else { BLACK }
}

/// The colour nearest to `color` on the way to `end` that can be read on `ground`.
fn readable(color: [u8; 3], ground: [u8; 3], end: [u8; 3]) -> [u8; 3] {
    let steps = (0..=100_u32).map(|percent| mix(color, end, percent));
    steps.into_iter().find(|mixed| contrast(*mixed, ground) >= TEXT_CONTRAST).unwrap_or(end)
}

fn mix(from: [u8; 3], to: [u8; 3], percent: u32) -> [u8; 3] {
    let part = |from: u8, to: u8| {
        let sum = u32::from(from) * (100 - percent.min(100)) + u32::from(to) * percent;
        u8::try_from(sum / 100).unwrap_or(to)
    };
    let ([r, g, b], [to_r, to_g, to_b]) = (from, to);
    [part(r, to_r), part(g, to_g), part(b, to_b)]
}

/// The contrast ratio of WCAG 2.2, from 1 to 21.
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The relative luminance of WCAG 2.2, from 0 to 1.
fn luminance([red, green, blue]: [u8; 3]) -> f64 {
    let linear = |channel: u8| {
        let channel = f64::from(channel) / 255.0;
        if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((contrast(WHITE, BLACK) - 21.0).abs() < 0.01);
        // The published example: #767676 on white is the lightest grey that passes.
        assert!((contrast([0x76; 3], WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn text_can_be_read_whatever_the_accent_is() {
        for red in (0..=255).step_by(51) {
            for green in (0..=255).step_by(51) {
                for blue in (0..=255).step_by(51) {
                    let accent = [red, green, blue];
                    assert!(contrast(readable(accent, LIGHT_GROUND, BLACK), LIGHT_GROUND) >= 4.5, "{accent:?}");
                    assert!(contrast(readable(accent, DARK_GROUND, WHITE), DARK_GROUND) >= 4.5, "{accent:?}");
                    assert!(contrast(more_contrast(accent), accent) >= 4.5, "{accent:?}");
                }
            }
        }
    }
}
