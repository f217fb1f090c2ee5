//go:build !race

package cwt_test

const raceDetector = false
