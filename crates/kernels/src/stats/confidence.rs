//! How sure a bound must be, and the normal quantile that belongs to it.

/// A one-sided confidence level, at least 0.5 and below 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence(f64);

impl Confidence {
    /// The level that a gate uses when nobody says otherwise: 95 %.
    pub const DEFAULT: Self = Self(0.95);

    /// A level, or nothing where it is not in `0.5..1` (a bound at 100 % says nothing about any sample).
    pub fn new(level: f64) -> Option<Self> {
        (0.5..1.0).contains(&level).then_some(Self(level))
    }

    /// The level, such as 0.95.
    pub fn level(self) -> f64 {
        self.0
    }

    /// The chance of a bound on the wrong side: one minus the level.
    pub fn alpha(self) -> f64 {
        1.0 - self.0
    }

    /// The standard normal quantile of the level, to about 16 digits.
    ///
    /// Source: M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
    /// Statistics 37 (1988), 477-484, routine PPND16.
    pub fn z(self) -> f64 {
        let centred = self.0 - 0.5;
        if centred <= 0.425 {
            let r = 0.180_625 - centred * centred;
            return centred * ratio(&CENTRE_NUM, &CENTRE_DEN, r);
        }
        let r = (-self.alpha().ln()).sqrt();
        if r <= 5.0 { ratio(&MIDDLE_NUM, &MIDDLE_DEN, r - 1.6) } else { ratio(&TAIL_NUM, &TAIL_DEN, r - 5.0) }
    }
}

fn ratio(numerator: &[f64; 8], denominator: &[f64; 8], at: f64) -> f64 {
    polynomial(numerator, at) / polynomial(denominator, at)
}

/// Horner's scheme, highest power first.
fn polynomial(coefficients: &[f64; 8], at: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

const CENTRE_NUM: [f64; 8] = [
    2_509.080_928_730_122_7,
    33_430.575_583_588_13,
    67_265.770_927_008_7,
    45_921.953_931_549_87,
    13_731.693_765_509_46,
    1_971.590_950_306_551_3,
    133.141_667_891_784_38,
    3.387_132_872_796_366_5,
];
const CENTRE_DEN: [f64; 8] = [
    5_226.495_278_852_854,
    28_729.085_735_721_943,
    39_307.895_800_092_71,
    21_213.794_301_586_597,
    5_394.196_021_424_751,
    687.187_007_492_057_9,
    42.313_330_701_600_91,
    1.0,
];
const MIDDLE_NUM: [f64; 8] = [
    0.000_774_545_014_278_341_4,
    0.022_723_844_989_269_184,
    0.241_780_725_177_450_6,
    1.270_458_252_452_368_4,
    3.647_848_324_763_204_5,
    5.769_497_221_460_691,
    4.630_337_846_156_546,
    1.423_437_110_749_683_5,
];
const MIDDLE_DEN: [f64; 8] = [
    1.050_750_071_644_416_9e-9,
    0.000_547_593_808_499_534_5,
    0.015_198_666_563_616_457,
    0.148_103_976_427_480_08,
    0.689_767_334_985_1,
    1.676_384_830_183_803_8,
    2.053_191_626_637_759,
    1.0,
];
const TAIL_NUM: [f64; 8] = [
    2.010_334_399_292_288_1e-7,
    2.711_555_568_743_487_6e-5,
    0.001_242_660_947_388_078_4,
    0.026_532_189_526_576_124,
    0.296_560_571_828_504_87,
    1.784_826_539_917_291_3,
    5.463_784_911_164_114,
    6.657_904_643_501_103,
];
const TAIL_DEN: [f64; 8] = [
    2.044_263_103_389_939_7e-15,
    1.421_511_758_316_446e-7,
    1.846_318_317_510_054_8e-5,
    0.000_786_869_131_145_613_3,
    0.014_875_361_290_850_615,
    0.136_929_880_922_735_8,
    0.599_832_206_555_888,
    1.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_tabulated_ones() {
        for (level, z) in [
            (0.5, 0.0),
            (0.75, 0.674_489_750_196_081_7),
            (0.9, 1.281_551_565_544_600_4),
            (0.95, 1.644_853_626_951_472_2),
            (0.975, 1.959_963_984_540_054),
            (0.99, 2.326_347_874_040_840_8),
            (0.999, 3.090_232_306_167_813),
        ] {
            let got = Confidence::new(level).unwrap().z();
            assert!((got - z).abs() < 1e-13, "{level}: {got}");
        }
        let far = Confidence::new(1.0 - 1e-12).unwrap().z();
        assert!((far - 7.034_484).abs() < 1e-4, "{far}");
    }

    #[test]
    fn levels_that_mean_nothing_are_refused() {
        for level in [0.49, 1.0, 1.5, -0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Confidence::new(level), None, "{level}");
        }
    }
}
