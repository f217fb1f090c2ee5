package proof

// workerEnv makes the test binary play an issuer of many requests.
const workerEnv = "SANAD_PROOF_WORKER"

func work(job string) int { return 0 }
