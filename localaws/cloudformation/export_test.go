package cloudformation

// Ended reports whether the service was told to end.
func (s *Service) Ended() bool { return s.ctx.Err() != nil }
