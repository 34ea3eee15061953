"""Every metric, declared once, on a registry that is passed in. Labels are bounded: rooms, detectors, sinks, causes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_AGE_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 8.0, 13.0, 30.0)
_BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_RUN_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The monitor's own numbers. Counters are set by the part that counts; gauges that ask are set at the scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.packets = Counter("streammon_packets", "Video packets received.", ["room"], registry=registry)
        self.packet_bytes = Counter(
            "streammon_packet_bytes", "Bytes of video packets received.", ["room"], registry=registry
        )
        self.decoded = Counter("streammon_frames_decoded", "Frames decoded.", ["room"], registry=registry)
        self.decode_errors = Counter("streammon_decode_errors", "Packets not decoded.", ["room"], registry=registry)
        self.sampled = Counter("streammon_frames_sampled", "Frames kept by the sampler.", ["room"], registry=registry)
        self.dropped = Counter(
            "streammon_frames_dropped",
            "Sampled frames that no detector saw (mailbox_full, overdue), or one did not get to in time (unfinished).",
            ["room", "reason"],
            registry=registry,
        )
        self.room_examined = Counter(
            "streammon_room_frames_examined", "Frames of a room that detectors were shown.", ["room"], registry=registry
        )
        self.room_interval_seconds = Gauge(
            "streammon_room_interval_seconds", "Time between two samples of a room now.", ["room"], registry=registry
        )
        self.rooms_by_tempo = Gauge(
            "streammon_rooms_by_tempo",
            "Rooms that are sampled faster than they should be (fast, after a hit), as they should, or slower (slow).",
            ["tempo"],
            registry=registry,
        )
        self.room_cpu_seconds = Counter(
            "streammon_room_cpu_seconds",
            "Time on a CPU core that a room has cost, by part: ingest, or a detector.",
            ["room", "tenant", "part"],
            registry=registry,
        )
        self.room_provider_seconds = Counter(
            "streammon_room_provider_seconds",
            "Time of the execution provider that a room has cost, its share of each batch.",
            ["room", "tenant"],
            registry=registry,
        )
        self.room_pulled_bytes = Counter(
            "streammon_room_pulled_bytes",
            "Bytes pulled for a room: playlists, segments and all; of RTMP the video's packets alone.",
            ["room", "tenant"],
            registry=registry,
        )
        self.unexamined = Counter(
            "streammon_frames_not_examined",
            "Frames a detector did not look at, by reason: "
            "cadence, gate, unchanged, nothing_new, failed, disabled, overdue.",
            ["detector", "reason"],
            registry=registry,
        )
        self.detector_disabled = Gauge(
            "streammon_detector_disabled",
            "1 while a detector is switched off after failures.",
            ["detector"],
            registry=registry,
        )
        self.batch_frames = Histogram(
            "streammon_batch_frames", "Frames in one batch.", ["detector"], buckets=_BATCH_BUCKETS, registry=registry
        )
        self.saturation = Gauge(
            "streammon_engine_saturation_ratio",
            "Work that came in the last seconds, by what the engine can do in them; above 1 it is overloaded.",
            registry=registry,
        )
        self.utilisation = Gauge(
            "streammon_provider_utilisation_ratio",
            "Share of the last seconds in which an execution provider ran models, 1 being all it may run at once.",
            ["provider"],
            registry=registry,
        )
        self.model_info = Gauge(
            "streammon_model_info", "1 for what a model runs on.", ["model", "provider", "sha256"], registry=registry
        )
        self.shadow_frames = Counter(
            "streammon_shadow_frames",
            "Frames that were due for a model on trial, by what came of them: compared, passed_over, failed.",
            ["detector", "outcome"],
            registry=registry,
        )
        self.engine_given_up_threads = Gauge(
            "streammon_engine_given_up_threads",
            "Threads of the engine that a detector has not come back on, and are still there.",
            registry=registry,
        )
        self.analysed = Counter(
            "streammon_frames_analysed", "Frames a detector examined.", ["detector"], registry=registry
        )
        self.detector_seconds = Histogram(
            "streammon_detector_seconds",
            "Time of one run of a detector, pre- and post-processing included.",
            ["detector"],
            buckets=_RUN_BUCKETS_S,
            registry=registry,
        )
        self.frame_age_seconds = Histogram(
            "streammon_frame_age_seconds",
            "From a frame's packet having been received to its having been judged and committed.",
            buckets=_AGE_BUCKETS_S,
            registry=registry,
        )
        self.events = Counter(
            "streammon_events", "Violation events committed.", ["label", "phase", "verdict"], registry=registry
        )
        self.feedback = Counter(
            "streammon_feedback", "Feedback on rooms of ours that was taken in.", ["action"], registry=registry
        )
        self.feedback_refused = Counter(
            "streammon_feedback_refused",
            "Messages that are no valid feedback, by the way they came: topic, http.",
            ["way"],
            registry=registry,
        )
        self.judged_incidents = Counter(
            "streammon_judged_incidents",
            "Incidents that people gave feedback on other than to mute them, for each model that saw them.",
            ["label", "model"],
            registry=registry,
        )
        self.false_alarms = Counter(
            "streammon_false_alarms",
            "Incidents that people called false, for each model that saw them.",
            ["label", "model"],
            registry=registry,
        )
        self.records_dropped = Counter(
            "streammon_records_dropped", "Frames that were not recorded, though they should be.", registry=registry
        )
        self.room_state = Gauge(
            "streammon_room_state",
            "1 for the state a room is in, 0 for the others.",
            ["room", "state"],
            registry=registry,
        )
        self.moves = Counter(
            "streammon_room_moves", "Moves of a room into a state.", ["room", "state"], registry=registry
        )
        self.room_picture = Gauge(
            "streammon_room_picture",
            "1 for what a room's picture amounts to (live, black, solid, no_signal, frozen), 0 for the others.",
            ["room", "picture"],
            registry=registry,
        )
        self.live_lag_seconds = Gauge(
            "streammon_live_lag_seconds",
            "How far behind the live edge a room's newest packet came.",
            ["room"],
            registry=registry,
        )
        self.quarantines = Counter(
            "streammon_quarantines", "Times a room's stream crashed its process again.", ["room"], registry=registry
        )
        self.sessions = Counter("streammon_sessions", "Connections that delivered video.", ["room"], registry=registry)
        self.blind_seconds = Counter(
            "streammon_blind_seconds",
            "Time in which a room was not watched, by cause.",
            ["room", "cause"],
            registry=registry,
        )
        self.ingest_restarts = Counter(
            "streammon_ingest_restarts", "Ingest processes that died and were started again.", registry=registry
        )
        self.ingest_recycled = Counter(
            "streammon_ingest_recycled", "Ingest processes replaced for their hung threads.", registry=registry
        )
        self.given_up_threads = Gauge(
            "streammon_ingest_given_up_threads",
            "Threads that did not come back from a call when they should have, and are still there.",
            registry=registry,
        )
        self.texts = Counter(
            "streammon_texts",
            "Lines that viewers wrote, by what came of them: nothing, hit, no_room, refused.",
            ["outcome"],
            registry=registry,
        )
        self.mailbox_frames = Gauge("streammon_mailbox_frames", "Frames waiting for the engine.", registry=registry)
        self.outbox_depth = Gauge(
            "streammon_outbox_events", "Committed events that a sink has not taken.", ["sink"], registry=registry
        )
        self.outbox_oldest_seconds = Gauge(
            "streammon_outbox_oldest_seconds",
            "Age of the oldest event that a sink has not taken; 0 where there is none.",
            ["sink"],
            registry=registry,
        )
        self.dead_letters = Gauge(
            "streammon_dead_letters", "Events of this run that a sink can never take.", ["sink"], registry=registry
        )
        self.gave_way = Gauge(
            "streammon_outbox_gave_way",
            "Events of this run given up, the spool being full.",
            ["kind"],
            registry=registry,
        )
        self.spool_damaged = Gauge(
            "streammon_spool_damaged", "1 where a damaged spool was set aside in this run.", registry=registry
        )
        self.evidence = Counter(
            "streammon_evidence", "Pictures that came to a status.", ["kind", "status"], registry=registry
        )
        self.policy_problems = Gauge(
            "streammon_policy_problems", "Faults in policy files; their rooms keep what they had.", registry=registry
        )
        self.evidence_pending = Gauge(
            "streammon_evidence_pending", "Pictures waiting for the evidence store.", registry=registry
        )
