//! Loops compiled a second time for AVX2, taken where the processor has it.
//!
//! The baseline of x86-64 has vectors of four floats and no blend, which leaves the kernels bound by arithmetic; with
//! AVX2 they are bound by memory. Nothing but the width differs: FMA stays off, and a loop that adds keeps its lanes,
//! so results are the same bit for bit.

/// Defines a function whose body is compiled for the baseline and for AVX2.
///
/// Helpers of the body must be inlined to be compiled for both.
macro_rules! wide {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    portable($($argument),*)
                }
                if $crate::wide::avx2() {
                    #[expect(unsafe_code, reason = "calling code for features that the compiler does not assume")]
                    // SAFETY: the processor has AVX2, the only feature that the function needs.
                    return unsafe { avx2($($argument),*) };
                }
            }
            portable($($argument),*)
        }
    };
}

pub(crate) use wide;

/// Whether the processor has AVX2; in tests also whether it may be used.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn avx2() -> bool {
    #[cfg(test)]
    if testing::PORTABLE.get() {
        return false;
    }
    is_x86_feature_detected!("avx2")
}

#[cfg(test)]
pub(crate) mod testing {
    use std::cell::Cell;

    thread_local! {
        /// Set while this thread runs nothing but the baseline.
        pub(crate) static PORTABLE: Cell<bool> = const { Cell::new(false) };
    }

    /// The results of the baseline and of the widest instructions here.
    pub(crate) fn both<T>(run: impl Fn() -> T) -> (T, T) {
        PORTABLE.set(true);
        let portable = run();
        PORTABLE.set(false);
        (portable, run())
    }
}
