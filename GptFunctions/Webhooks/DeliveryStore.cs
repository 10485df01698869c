using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>An event on its way through its transaction.</summary>
/// <param name="Changes">The statements that make its changes, but for what it says of a person.</param>
/// <param name="ReceivedAt">By the program's clock.</param>
/// <param name="Act">Of the operator who asked for its replay; null for a delivery.</param>
internal sealed record Delivery(
    IWebhookSource Source, WebhookEvent Event, NpgsqlBatch Changes, DateTimeOffset ReceivedAt, Occasion Occasion, OperatorAct? Act)
{
    /// <summary>Whether it may be in one transaction with others.</summary>
    public bool MayShare => Changes.BatchCommands.Count == 0 && Act is null;
}

/// <summary>The transactions of deliveries: each holds the claims of events, their changes, their audit events and what is recorded of them.</summary>
internal sealed class DeliveryStore
{
    private const string Completed = "completed";
    private const string Ignored = "ignored";
    private const string Stale = "skipped_stale";
    private const string NotExpected = "GF003"; // raised by webhook_take_all

    /// <summary>How long a transaction that several share waits for somebody else's lock: then each of them waits for itself.</summary>
    private const string SharedPatience = "100ms";

    /// <summary>How long one of its statements takes: then whoever is slow is slow alone.</summary>
    private const string SharedLimit = "2s";

    /// <summary>
    /// The one place that decides whether events take effect, or are duplicates or stale: a function, because each of its statements must see what was
    /// committed before it. What stands behind it in a batch runs only when all of them do.
    /// </summary>
    private static readonly Sql Take = new("SELECT webhook_take_all(@sources, @event_ids, @subjects, @event_times, @orders, @now, @patience, @limit)");

    private static readonly Sql Record = new("""
        INSERT INTO webhook_events AS known
            (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, duration_ms)
        SELECT source, event_id, type, subject, status, 1, event_at, received_at, received_at,
               CASE WHEN status = 'completed' THEN extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000 END
        FROM (SELECT unnest(@sources::text[]) AS source, unnest(@event_ids::text[]) AS event_id, unnest(@types::text[]) AS type,
                     unnest(@subjects::text[]) AS subject, unnest(@statuses::text[]) AS status, unnest(@event_times::timestamptz[]) AS event_at,
                     unnest(@times::timestamptz[]) AS received_at) item
        ON CONFLICT (source, event_id) DO UPDATE SET
            type = excluded.type, subject = excluded.subject, status = excluded.status, attempts = known.attempts + 1,
            event_at = excluded.event_at, processed_at = greatest(excluded.processed_at, known.received_at), duration_ms = excluded.duration_ms,
            error = NULL, payload = NULL
        """);

    // The time that the changes took, without a round trip more: from the beginning of the transaction to here.
    private static readonly Sql NoteDuration = new("""
        UPDATE webhook_events
        SET duration_ms = extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000
        WHERE source = @source AND event_id = @event_id
        """);

    private readonly Database database;
    private readonly OutboxSignal outbox;
    private readonly SharedStatements<SharedDelivery, WebhookResult> shared;

    public DeliveryStore(Database database, OutboxSignal outbox)
    {
        (this.database, this.outbox) = (database, outbox);
        shared = new SharedStatements<SharedDelivery, WebhookResult>(TakeAsync, _ => Task.CompletedTask, BesideEachOther);
    }

    /// <summary>Together with those that come at the same time; null when nothing happened, because one of them could not be as it was.</summary>
    public Task<WebhookResult?> ShareAsync(Delivery delivery) => shared.RunAsync(new SharedDelivery(delivery));

    /// <summary>
    /// By itself: the claim of the event and, if it takes effect, its changes, in one round trip, and another one to record that it does not. A claim that
    /// was not expected fails, and all that was sent with it does not happen.
    /// </summary>
    public async Task<WebhookResult> TakeAsync(Delivery delivery, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            return await TakeAsync(delivery, StatusOf(delivery.Event), connection, cancellationToken);
        }
        catch (PostgresException error) when (OutcomeOf(error) is { } outcome)
        {
            return await SettleAsync(outcome, delivery, connection, cancellationToken);
        }
    }

    /// <summary>What becomes of a delivery whose claim was not expected.</summary>
    private async Task<WebhookResult> SettleAsync(string outcome, Delivery delivery, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (outcome != Stale)
        {
            return outcome == "in_progress" ? WebhookResult.InProgress : WebhookResult.Duplicate;
        }

        // What is known of a subject is never older again, so this need not be compared once more.
        await using var nothing = new NpgsqlBatch();
        var stale = delivery with { Changes = nothing, Event = delivery.Event with { Order = EventOrder.None, Profile = null } };
        return await TakeAsync(stale, Stale, connection, cancellationToken);
    }

    /// <summary>A batch is a transaction, which its end commits.</summary>
    private async Task<WebhookResult> TakeAsync(Delivery delivery, string status, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var webhook = delivery.Event;
        await using var batch = new NpgsqlBatch(connection);
        batch.Add(ToTake([delivery]));
        batch.Add(ToRecord([delivery], [status])); // before the changes, so that a source can take it back
        if (webhook.Profile is { } profile)
        {
            UserStore.AddSave(batch, [(profile, delivery.Occasion)]);
        }

        foreach (var change in delivery.Changes.BatchCommands)
        {
            batch.BatchCommands.Add(change);
        }

        if (delivery.Act is { } act)
        {
            batch.Add(WebhookStore.ToReplayed(delivery.Source.Name, webhook, status, act, delivery.Occasion));
        }

        if (status == Completed)
        {
            batch.Add(new Statement(NoteDuration).Bind("source", delivery.Source.Name).Bind("event_id", webhook.Id));
        }

        WebhookResult result;
        await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
        {
            await reader.NextResultAsync(cancellationToken); // the claim says nothing but that it was expected
            result = status switch
            {
                Completed => await delivery.Source.AnswerAsync(reader, webhook, cancellationToken),
                Ignored => WebhookResult.Ignored,
                _ => WebhookResult.SkippedStale,
            };
            while (await reader.NextResultAsync(cancellationToken))
            {
                // Until the commit has answered, nothing has happened.
            }
        }

        if (status == Completed)
        {
            outbox.Raise();
        }

        return result;
    }

    private Task<bool> TakeAsync(List<SharedDelivery> all) => database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
    {
        try
        {
            await TakeAsync(all.ConvertAll(item => item.Delivery), connection, cancellationToken);
            all.ForEach(item => item.Answer = item.Delivery.Event.IsHandled ? WebhookResult.Handled : WebhookResult.Ignored);
        }
        catch (PostgresException error) when (all.Count == 1 && OutcomeOf(error) is { } outcome)
        {
            all[0].Answer = await SettleAsync(outcome, all[0].Delivery, connection, cancellationToken);
        }

        return true;
    });

    private async Task TakeAsync(List<Delivery> deliveries, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var people = deliveries.FindAll(delivery => delivery.Event.Profile is not null)
            .ConvertAll(delivery => (delivery.Event.Profile!, delivery.Occasion));
        await using var batch = new NpgsqlBatch(connection);
        batch.Add(ToTake(deliveries, SharedPatience, SharedLimit));
        if (people.Count > 0)
        {
            UserStore.AddSave(batch, people);
        }

        batch.Add(ToRecord(deliveries, deliveries.ConvertAll(delivery => StatusOf(delivery.Event))));
        await batch.ExecuteNonQueryAsync(cancellationToken);
        if (people.Count > 0)
        {
            outbox.Raise();
        }
    }

    /// <summary>
    /// What the claim turned out to be, of an error that says that it was not expected: nothing was recorded then. <c>already_completed</c> and, while
    /// another delivery handles the event, <c>in_progress</c> leave nothing to record. Null of any other error.
    /// </summary>
    private static string? OutcomeOf(PostgresException error) => error.SqlState == NotExpected ? error.MessageText : null;

    /// <summary>Of each subject one event; of each event there is one delivery (<see cref="WebhookService"/>).</summary>
    private static Predicate<SharedDelivery> BesideEachOther()
    {
        var subjects = new HashSet<(string Source, string? Subject)>();
        return item => item.Delivery is var delivery
            && (delivery.Event.Order == EventOrder.None || subjects.Add((delivery.Source.Name, delivery.Event.Subject)));
    }

    private static string StatusOf(WebhookEvent webhook) => webhook.IsHandled ? Completed : Ignored;

    private static Statement ToTake(List<Delivery> deliveries, string? patience = null, string? limit = null) => Describe(new Statement(Take), deliveries)
        .Bind("orders", deliveries.ConvertAll(delivery => OrderOf(delivery.Event))).Bind("now", deliveries[0].ReceivedAt)
        .Bind("patience", patience).Bind("limit", limit);

    private static Statement ToRecord(List<Delivery> deliveries, List<string> statuses) => Describe(new Statement(Record), deliveries)
        .Bind("types", deliveries.ConvertAll(delivery => delivery.Event.Type)).Bind("statuses", statuses)
        .Bind("times", deliveries.ConvertAll(delivery => delivery.ReceivedAt));

    private static Statement Describe(Statement statement, List<Delivery> deliveries) => statement
        .Bind("sources", deliveries.ConvertAll(delivery => delivery.Source.Name))
        .Bind("event_ids", deliveries.ConvertAll(delivery => delivery.Event.Id))
        .Bind("subjects", deliveries.ConvertAll(delivery => delivery.Event.Subject))
        .Bind("event_times", deliveries.ConvertAll(delivery => delivery.Event.OccurredAt));

    private static string OrderOf(WebhookEvent webhook) => (webhook.IsHandled ? webhook.Order : EventOrder.None) switch
    {
        EventOrder.Creation => "creation",
        EventOrder.Change => "change",
        EventOrder.Deletion => "deletion",
        _ => "none",
    };

    private sealed class SharedDelivery(Delivery delivery) : SharedItem<WebhookResult>
    {
        public Delivery Delivery => delivery;
    }
}
