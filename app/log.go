package app

import (
	"log/slog"
	"os"
	"runtime/debug"
)

func (l Log) slogLevel() slog.Level {
	switch l.Level {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (s *Server) makeLog() {
	out := s.options.Log
	if out == nil {
		out = os.Stderr
	}
	s.level = new(slog.LevelVar)
	s.level.Set(s.config.Log.slogLevel())
	o := &slog.HandlerOptions{Level: s.level}
	if s.config.Log.Format == "json" {
		s.log = slog.New(slog.NewJSONHandler(out, o))
		return
	}
	s.log = slog.New(slog.NewTextHandler(out, o))
}

// tune sets the garbage collector, unless the environment did.
func (s *Server) tune() {
	s.collector = &collector{percent: s.config.Runtime.GCPercent, headroom: s.config.Runtime.GCHeadroom}
	s.collector.stopped = os.Getenv("GOGC") != ""
	s.collector.pace()
	s.atStop("leave the garbage collector alone", s.collector.stop)
	if limit := s.config.Runtime.MemoryLimit; os.Getenv("GOMEMLIMIT") == "" && limit > 0 {
		debug.SetMemoryLimit(int64(limit))
	}
}
