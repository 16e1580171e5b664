//go:build race

package transaction

const raceDetector = true
