//! The picture that an authenticator scans.
//!
//! Source: IAM API Reference, `VirtualMFADevice`: a PNG of a QR code of `otpauth://totp/DEVICE@ACCOUNT?secret=SEED`.

use cloudlet_service::Error;
use qrcode::{Color, QrCode};

/// Pixels to a side of one module.
const SCALE: usize = 4;
/// Empty modules around the code. Source: ISO/IEC 18004, section 9.1.
const QUIET: usize = 4;

/// The PNG of a text's QR code.
pub(crate) fn png(text: &str) -> Result<Vec<u8>, Error> {
    let code = QrCode::new(text).map_err(Error::internal)?;
    let width = code.width();
    let side = (width + 2 * QUIET) * SCALE;
    let dark = |x: usize, y: usize| {
        let at = |pixel: usize| (pixel / SCALE).checked_sub(QUIET).filter(|module| *module < width);
        matches!((at(x), at(y)), (Some(x), Some(y)) if code[(x, y)] == Color::Dark)
    };
    let pixels: Vec<u8> = (0..side * side).map(|i| if dark(i % side, i / side) { 0 } else { 0xff }).collect();
    let side = u32::try_from(side).map_err(Error::internal)?;
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().map_err(Error::internal)?;
    writer.write_image_data(&pixels).map_err(Error::internal)?;
    writer.finish().map_err(Error::internal)?;
    Ok(out)
}
