//! The QR code that carries an `otpauth://` URL to an authenticator app.

use qrcode::{EcLevel, QrCode, render::svg};

/// A QR code that can't be drawn: the text is too long for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too long for a QR code")]
pub struct TooLong;

/// Pixels of the PNG for each module, and of the SVG at least for the whole.
const MODULE_PIXELS: usize = 6;
const SVG_PIXELS: u32 = 256;
/// Light modules around the code that scanners need (ISO/IEC 18004 asks for four).
const QUIET_MODULES: usize = 4;

/// A drawn code.
pub struct Qr(QrCode);

impl Qr {
    /// Encodes `text` with medium error correction.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn encode(text: &str) -> Result<Self, TooLong> {
        QrCode::with_error_correction_level(text, EcLevel::M).map(Self).map_err(|_| TooLong)
    }

    /// A self-contained SVG picture.
    #[must_use]
    pub fn svg(&self) -> String {
        self.0.render::<svg::Color<'_>>().min_dimensions(SVG_PIXELS, SVG_PIXELS).quiet_zone(true).build()
    }

    /// A PNG picture: one bit a pixel, black on white.
    ///
    /// # Errors
    /// [`TooLong`], where it would not fit a PNG.
    pub fn png(&self) -> Result<Vec<u8>, TooLong> {
        let (modules, colors) = (self.0.width(), self.0.to_colors());
        let side = (modules + 2 * QUIET_MODULES) * MODULE_PIXELS;
        let is_light = |x: usize, y: usize| -> bool {
            let module = module_at(x, modules).zip(module_at(y, modules));
            module.and_then(|(x, y)| colors.get(y * modules + x)).is_none_or(|color| *color == qrcode::Color::Light)
        };
        let row = |y: usize| -> Vec<u8> {
            (0..side).step_by(8).map(|x| (x..x + 8).fold(0, |byte, x| byte << 1 | u8::from(is_light(x, y)))).collect()
        };
        let pixels: Vec<u8> = (0..side).flat_map(row).collect();
        let side = u32::try_from(side).map_err(|_| TooLong)?;
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).map_err(|_| TooLong)?;
        Ok(file)
    }
}

/// The module that a pixel belongs to; `None` in the quiet zone.
fn module_at(pixel: usize, modules: usize) -> Option<usize> {
    (pixel / MODULE_PIXELS).checked_sub(QUIET_MODULES).filter(|module| *module < modules)
}

impl std::fmt::Debug for Qr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Qr(hidden)")
    }
}
