//go:build race

package cwt_test

// raceDetector is true if the tests run under the race detector, which makes
// pools forget.
const raceDetector = true
