using GptFunctions.Hosting;

namespace GptFunctions.Purge;

/// <summary>What the purge keeps, and how gently it deletes.</summary>
internal sealed class PurgeSettings : ISettings
{
    public const int LongestRetentionDays = 3650;

    [Setting("PURGE_RETENTION_DAYS", 1, LongestRetentionDays, Meaning = "days for which codes, tokens and sessions stay after their end")]
    public int RetentionDays { get; set; } = 30;

    [Setting("PURGE_BATCH_SIZE", 1, 100_000, Meaning = "rows per transaction of the purge")]
    public int BatchSize { get; set; } = 1000;
}
