//! The least that a login costs: Argon2id hashes and nothing else, on all cores at once, each in a memory that it
//! keeps. Prints how many were computed within the seconds given; whoever starts it reads the CPU time.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};

fn hashes_until(deadline: Instant) -> u64 {
    let params = Params::new(19_456, 2, 1, None).expect("parameters");
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut digest, mut hashes) = ([0; 32], 0);
    while Instant::now() < deadline {
        argon2
            .hash_password_into_with_memory(b"correct horse battery", &[7; 16], &mut digest, &mut memory)
            .expect("a hash");
        hashes += 1;
    }
    assert_ne!(digest, [0; 32]);
    hashes
}

fn main() {
    let seconds = env::args().nth(1).and_then(|number| number.parse().ok()).expect("seconds");
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let cores = thread::available_parallelism().expect("cores").get();
    let threads: Vec<_> = (0..cores).map(|_| thread::spawn(move || hashes_until(deadline))).collect();
    println!("{}", threads.into_iter().map(|thread| thread.join().expect("hashes")).sum::<u64>());
}
