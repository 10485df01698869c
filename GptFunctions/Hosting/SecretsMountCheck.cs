using Microsoft.Extensions.Configuration;

namespace GptFunctions.Hosting;

/// <summary>The directory with settings as files can be read, and what changed in it was taken over.</summary>
internal sealed class SecretsMountCheck(IConfiguration configuration, RefusedChanges refused) : ICheck
{
    public string Name => "secrets_mount";

    public Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var given = configuration["SECRETS_PATH"];
        var path = given ?? HostingSetup.DefaultSecretsPath;
        var isThere = Directory.Exists(path);
        finding.Details["used"] = isThere;
        if (isThere)
        {
            finding.Details["files"] = CountReadable(path, finding);
        }
        else if (given is not null)
        {
            finding.Say(CheckState.Degraded, $"SECRETS_PATH names {path}, which is no directory that can be read.");
        }

        foreach (var problem in refused.Problems)
        {
            finding.Say(CheckState.Degraded, $"A file changed, and the values before it stay in force until the next start: {problem}");
        }

        return Task.CompletedTask;
    }

    private static int CountReadable(string path, Finding finding)
    {
        var count = 0;
        foreach (var file in new DirectoryInfo(path).EnumerateFiles().Where(file => !file.Name.StartsWith('.')))
        {
            try
            {
                using var readable = file.OpenRead();
                count++;
            }
            catch (FileNotFoundException)
            {
                // A link whose target Kubernetes has just removed; the link goes next.
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                finding.Say(CheckState.Degraded, $"{file.Name} cannot be read: {error.GetType().Name}.");
            }
        }

        return count;
    }
}
