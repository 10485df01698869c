using System.ComponentModel.DataAnnotations;
using GptFunctions.Hosting;

namespace GptFunctions.Purge;

/// <summary>What the purge keeps, and how gently it deletes.</summary>
internal sealed class PurgeSettings : ISettings
{
    public const int LongestRetentionDays = 3650;

    /// <summary>Days for which codes, tokens and sessions stay after their end.</summary>
    [Setting("PURGE_RETENTION_DAYS")]
    [Range(1, LongestRetentionDays, ErrorMessage = "PURGE_RETENTION_DAYS must be between 1 and 3650.")]
    public int RetentionDays { get; set; } = 30;

    /// <summary>Rows per transaction.</summary>
    [Setting("PURGE_BATCH_SIZE")]
    [Range(1, 100_000, ErrorMessage = "PURGE_BATCH_SIZE must be between 1 and 100000.")]
    public int BatchSize { get; set; } = 1000;

    public IEnumerable<string> Problems(bool isProduction) => [];
}
