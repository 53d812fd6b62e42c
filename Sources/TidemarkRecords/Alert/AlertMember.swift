/// One of the alerts of a model that fire together.
package struct AlertMember: Sendable, Equatable {
    /// Its id.
    package var id: String
    /// The monitor's name in the topology.
    package var monitor: String
    /// The column that differs; empty where a group as a whole is watched.
    package var column: String
    /// The group's part, `model=churn,region=eu`.
    package var group: String
    /// How far it is over its bound: the size over the bound; `nil`: it has none.
    package var times: Double?

    package init(id: String, monitor: String, column: String, group: String, times: Double?) {
        self.id = id
        self.monitor = monitor
        self.column = column
        self.group = group
        self.times = times
    }
}

extension AlertMember: RecordFields {
    package static var blank: AlertMember {
        AlertMember(id: "", monitor: "", column: "", group: "", times: nil)
    }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == AlertMember {
        v.field("id", \.id, "the alert's id")
        v.field("monitor", \.monitor, "the monitor's name in the topology")
        v.field("column", \.column, "the column; empty where a group as a whole is watched")
        v.field("group", \.group, "the group, as keys of aggregates have it")
        v.field(
            "times", \.times, when: "where a size is bounded",
            "the size of the difference as a multiple of its bound")
    }
}
