import Testing
import TidemarkCore
import TidemarkDataflow
import TidemarkOperators
import TidemarkRuntime
import TidemarkTestPlan
import TidemarkTestSupport

@Suite struct MemoryTests {
    @Test func `partitions that wait for memory wait, and change nothing`() throws {
        let partitions = randomPartitions(seed: 5, rowCount: 2_000, partitionCount: 4)
        func run(paneBytes: Int) throws -> (aggregates: [String: Set<String>], waited: Bool) {
            var plan = simulationPlan(idleMs: nil)
            plan.limits.memory.paneBytes = paneBytes
            let cluster = SimulatedCluster(
                partitions: partitions, seed: 5, time: SimulatedTime(), faults: .none)
            var simulation = Simulation(
                plan: plan, cluster: cluster, workerCount: 2, crashChance: 0)
            let outcome = try simulation.run()
            return (outcome.aggregates, outcome.waitedForMemory)
        }
        let roomy = try run(paneBytes: 1 << 30)
        let tight = try run(paneBytes: 3_000)
        #expect(!roomy.waited && tight.waited)
        #expect(roomy.aggregates == tight.aggregates && !roomy.aggregates.isEmpty)
    }

    @Test func `state that outgrows the whole limit ends the run with what to do`() throws {
        var plan = simulationPlan()
        plan.limits.memoryBytes = 2_000
        let cluster = SimulatedCluster(
            partitions: randomPartitions(seed: 6, rowCount: 500, partitionCount: 2), seed: 6,
            time: SimulatedTime(), faults: .none)
        let simulation = Simulation(plan: plan, cluster: cluster, workerCount: 1, crashChance: 0)
        let engine = try simulation.start().engine
        for _ in 0..<100_000 where engine.coordinator.failure == nil {
            cluster.time.advance(ms: 10)
            for worker in engine.workers { _ = worker.step() }
            _ = engine.coordinator.step()
        }
        let failure = try #require(engine.coordinator.failure)
        #expect(failure.kind == .environment && "\(failure)".contains("limits.memory"))
    }
}
