//go:build !corpus

package sip

import "testing"

// addTorture has no torture messages to give: the corpus is not here.
func addTorture(*testing.F) {}
