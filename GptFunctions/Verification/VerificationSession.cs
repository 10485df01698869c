using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Verification;

/// <summary>A verification session after an event: opened by an order, decided once, before the deadline. Either event may come first.</summary>
/// <param name="HasChanged">Whether this event changed it.</param>
/// <param name="IsTooLate">Whether this event came after the deadline.</param>
internal sealed record VerificationSession(string Status, DateTimeOffset? Deadline, bool HasChanged, bool IsTooLate)
{
    /// <summary>
    /// Whether the deadline has passed without a decision: also for an event that came just before it, and then waited for the expiry to commit.
    /// </summary>
    public const string IsOver = "(session.status = 'refund_due' OR (session.status = 'pending_verification' AND session.deadline <= @now))";

    // A statement of its own, so that it sees what another delivery committed meanwhile.
    private static readonly Sql Read = new($"SELECT status, deadline, {IsOver} FROM verification_sessions session WHERE order_id = @order_id");

    public static void AddRead(NpgsqlBatch batch, string orderId, Occasion occasion) =>
        batch.Add(new Statement(Read).Bind("order_id", orderId).Bind(occasion));

    /// <summary>From the results of a statement that says whether it changed something, and of the one of <see cref="AddRead"/>.</summary>
    public static async Task<VerificationSession> ReadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        await reader.ReadAsync(cancellationToken);
        var hasChanged = reader.GetBoolean(0);
        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var isOver = reader.GetFieldValue<bool?>(2) == true;
        return new VerificationSession(reader.GetString(0), reader.Get<DateTimeOffset?>(1), hasChanged, !hasChanged && isOver);
    }
}
