using GptFunctions.Hosting;
using GptFunctions.Pages;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Operations;

internal static class OperationsSetup
{
    public const string Path = "/operations";

    /// <summary>Pages and commands for those on call.</summary>
    public static void AddOperations(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<OperationsSettings>();
        builder.Services.AddSingleton<OperatorAccess>().AddSingleton<PersonStore>().AddSingleton<PersonService>().AddSingleton<OverviewService>();
        builder.Services.AddSingleton(new ErrorFormat(Path, PageResults.Error));
    }
}
