extension RowExpression {
    /// What an operation gives of two types; `nil`: it does not take them.
    static func type(
        of operation: Arithmetic, _ a: ExpressionType, _ b: ExpressionType
    ) -> ExpressionType? {
        switch (operation, a, b) {
        case (_, .number, .number): .number
        case (.subtract, .time, .time): .duration
        case (.add, .time, .duration), (.subtract, .time, .duration), (.add, .duration, .time):
            .time
        case (.add, .duration, .duration), (.subtract, .duration, .duration): .duration
        case (.divide, .duration, .duration): .number
        default: nil
        }
    }
}
