#![no_main]
//! The fuzzer ends at a panic, also at one that is caught: those inside a decoder are errors of the file.
libfuzzer_sys::fuzz_target!(
    init: {
        let ends = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !bo_vision::decode::is_decoding() {
                ends(panic);
            }
        }));
    },
    |bytes: &[u8]| bo::readers::image(bytes)
);
