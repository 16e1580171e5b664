package api

import (
	"encoding/json"
	"strings"
	"time"
)

// Duration is a duration in JSON: a text such as "1h30m", or a number of
// seconds.
type Duration time.Duration

// String is "1h" where time.Duration says "1h0m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON writes whole seconds as a number.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(int64(time.Duration(d) / time.Second))
}

// UnmarshalJSON reads both forms.
func (d *Duration) UnmarshalJSON(data []byte) error {
	refused := &Problem{Status: 400, Code: "bad-duration", Detail: string(data) + " is no duration",
		Hint: "write seconds, or a text such as \"90s\" or \"1h\""}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return refused
	}
	switch v := v.(type) {
	case float64:
		if v < 0 || v > 1e9 {
			return refused
		}
		*d = Duration(v * float64(time.Second))
	case string:
		parsed, err := time.ParseDuration(v)
		if err != nil || parsed < 0 {
			return refused
		}
		*d = Duration(parsed)
	default:
		return refused
	}
	return nil
}
